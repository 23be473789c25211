// Gold and predicted entities side by side: what is right, and what kind of error the rest is.

const ERRORS = {
  missed: "missed",
  spurious: "spurious",
  type: "wrong type",
  boundary: "wrong boundary",
  both: "boundary and type",
};

// [start, end, type, ...] -> [{start, end, type}]
function unpack(flat) {
  const spans = [];
  for (let i = 0; i < flat.length; i += 3) {
    spans.push({ start: flat[i], end: flat[i + 1], type: flat[i + 2] });
  }
  return spans;
}

const isSame = (a, b) => a.start === b.start && a.end === b.end;
const isTouching = (a, b) => a.start < b.end && b.start < a.end;

// The kind of error of a predicted span; "" where it is right. `types` are those concerned.
function judge(span, gold) {
  const exact = gold.find((other) => isSame(span, other));
  if (exact) return { error: exact.type === span.type ? "" : "type", types: [span.type, exact.type] };
  const touched = gold.filter((other) => isTouching(span, other));
  if (!touched.length) return { error: "spurious", types: [span.type] };
  const error = touched.some((other) => other.type === span.type) ? "boundary" : "both";
  return { error, types: [span.type, ...touched.map((other) => other.type)] };
}

// All that is to say of one tagging: its spans with verdicts, the missed gold spans, all errors.
function examine(gold, predicted) {
  const spans = predicted.map((span) => ({ ...span, ...judge(span, gold) }));
  const missed = gold
    .filter((span) => !predicted.some((other) => isTouching(span, other)))
    .map((span) => ({ ...span, error: "missed", types: [span.type] }));
  const errors = [...spans.filter((span) => span.error), ...missed];
  return { spans, missed, errors };
}

function isEqualTagging(a, b) {
  return a.length === b.length && a.every((span, i) => isSame(span, b[i]) && span.type === b[i].type);
}
