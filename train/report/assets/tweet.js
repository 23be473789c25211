// One tweet: gold and two taggings as lines of words, the picture, and what the stores say.

function nameOf(span, types, error) {
  return error ? `${types[span.type]}: ${ERRORS[error]}` : types[span.type];
}

// The words of a tweet with marked spans.
function lineOf(tokens, spans, types) {
  const line = make("p", { class: "tokens", dir: "auto" });
  let next = 0;
  const words = (start, end) => tokens.slice(start, end).join(" ");
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start > next) line.append(`${words(next, span.start)} `);
    const kind = span.error ? " wrong" : "";
    line.append(
      make(
        "mark",
        { class: `type${span.type % 6}${kind}` },
        make("span", {}, words(span.start, span.end)),
        make("b", { class: "type" }, nameOf(span, types, span.error)),
      ),
      " ",
    );
    next = span.end;
  }
  line.append(words(next, tokens.length));
  return line;
}

function missedOf(tokens, missed, types) {
  if (!missed.length) return [];
  const names = missed.map((span) => `${tokens.slice(span.start, span.end).join(" ")} (${types[span.type]})`);
  return [make("p", { class: "missed" }, `missed: ${names.join(", ")}`)];
}

function taggingOf(label, state, tokens, found, types) {
  return make(
    "div",
    { class: "tagging" },
    make("h4", {}, label, ...(state ? [make("small", {}, state)] : [])),
    make("div", {}, lineOf(tokens, found.spans, types), ...missedOf(tokens, found.missed, types)),
  );
}

// `view`: {tweet, link, number, gold, runs: [{label, found}], record, hasGallery}
function tweetElement(view, types) {
  const [id, imageId, tokens, , evidence] = view.tweet;
  const state = (found) => (found.errors.length ? `${found.errors.length} wrong` : "right");
  const gold = { spans: view.gold, missed: [], errors: [] };
  const heading = make("h3", {}, make("a", { href: view.link }, id));
  const about = make(
    "p",
    { class: "about" },
    `tweet ${view.number}`,
    ...(evidence ? [`, evidence: ${evidence}`] : []),
    `, image ${imageId}`,
    ...(view.record ? [`: ${view.record.status.replace("_", " ")}`] : []),
  );
  return make(
    "article",
    { class: "tweet", tabindex: "-1", "data-id": id },
    make("header", {}, heading, about),
    make(
      "div",
      { class: "tweet-body" },
      pictureOf(imageId, view.record),
      make(
        "div",
        { class: "taggings" },
        taggingOf("gold", "", tokens, gold, types),
        ...view.runs.map((run) => taggingOf(run.label, state(run.found), tokens, run.found, types)),
        factsOf(view.record),
      ),
    ),
  );
}
