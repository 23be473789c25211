"""The one scorer: entity precision, recall and F1, counted from tags and never from report text.

Headline numbers read tags as conlleval and seqeval's default mode do: an `I-X` without its `B-X`
opens an entity. The strict IOB2 reading stands beside them. Every gold entity is counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from extract.errors import ShapeError
from extract.manifest import Sample
from train.tags import Span, entity_spans

Mention = tuple[str, str]
"""(surface text, entity type)"""

ALL = "all"
"""Name of the slice that holds every sample."""


@dataclass(frozen=True)
class Counts:
    """Numbers of entities; they add up over samples, F1 does not."""

    n_correct: int = 0
    n_pred: int = 0
    n_gold: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n_correct + other.n_correct,
            self.n_pred + other.n_pred,
            self.n_gold + other.n_gold,
        )

    @property
    def precision(self) -> float:
        """Percent; 0 when nothing was predicted."""
        return 100.0 * self.n_correct / self.n_pred if self.n_pred else 0.0

    @property
    def recall(self) -> float:
        """Percent; 0 when there is no gold entity."""
        return 100.0 * self.n_correct / self.n_gold if self.n_gold else 0.0

    @property
    def f1(self) -> float:
        """Percent; 0 when nothing is right."""
        total = self.n_pred + self.n_gold
        return 200.0 * self.n_correct / total if total else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Return percentages and counts for metrics.json."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "n_correct": self.n_correct,
            "n_pred": self.n_pred,
            "n_gold": self.n_gold,
        }


def count_spans(gold: Iterable[Span], pred: Iterable[Span]) -> Counts:
    """Count entities of one sentence; right means equal type and equal boundaries."""
    gold, pred = set(gold), set(pred)
    return Counts(len(gold & pred), len(pred), len(gold))


def count_tags(gold: Sequence[str], pred: Sequence[str], *, strict: bool = False) -> Counts:
    """Count the entities of one sentence's gold and predicted BIO tags."""
    return count_spans(entity_spans(gold, strict=strict), entity_spans(pred, strict=strict))


def per_tweet_counts(
    gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]], *, strict: bool = False
) -> np.ndarray:
    """Return (n_correct, n_pred, n_gold) of each sentence. # shape: (N, 3), int64

    Raises:
        ShapeError: another number of sentences, or of tags in a sentence.
    """
    check_lengths(gold, pred)
    rows = [count_tags(g, p, strict=strict) for g, p in zip(gold, pred, strict=True)]
    table = [(row.n_correct, row.n_pred, row.n_gold) for row in rows]
    return np.array(table, dtype=np.int64).reshape(len(table), 3)


def micro_counts(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> Counts:
    """Return the summed counts of a corpus, headline reading."""
    return Counts(*per_tweet_counts(gold, pred).sum(axis=0).tolist())


def check_lengths(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> None:
    """Check that every token has a gold and a predicted tag.

    Raises:
        ShapeError: the numbers differ; nothing is cut to fit.
    """
    if len(gold) != len(pred):
        raise ShapeError(f"{len(gold)} gold sentences but {len(pred)} predicted ones")
    for index, (g, p) in enumerate(zip(gold, pred, strict=True)):
        if len(g) != len(p):
            raise ShapeError(f"sentence {index}: {len(g)} gold tags but {len(p)} predicted ones")


def mentions(samples: Iterable[Sample]) -> set[Mention]:
    """Return the (surface, type) pairs of all gold entities."""
    return {
        (" ".join(sample.tokens[start:end]), entity_type)
        for sample in samples
        for entity_type, start, end in entity_spans(sample.tags or [])
    }


def score(
    samples: Sequence[Sample],
    pred: Sequence[Sequence[str]],
    known: set[Mention] | None = None,
) -> dict[str, Any]:
    """Score one group of samples.

    Args:
        samples: with gold tags.
        pred: predicted BIO tags, one list a sample.
        known: mentions of the training split; None leaves seen/unseen recall out.

    Returns:
        Percentages and counts; `per_type`, `macro_f1` (mean over the types that occur in gold or
        prediction, as seqeval's), `strict_f1`, and `seen`/`unseen` with recall and n_gold.
    """
    gold = [sample.tags or [] for sample in samples]
    total = micro_counts(gold, pred)
    strict = Counts(*per_tweet_counts(gold, pred, strict=True).sum(axis=0).tolist())
    per_type = _per_type(gold, pred)
    f1s = [counts.f1 for counts in per_type.values()]
    result = {
        **total.as_dict(),
        "strict_f1": strict.f1,
        "strict_n_gold": strict.n_gold,
        "macro_f1": sum(f1s) / len(f1s) if f1s else 0.0,
        "per_type": {name: counts.as_dict() for name, counts in per_type.items()},
        "n_samples": len(samples),
    }
    if known is not None:
        result.update(_seen_recall(samples, pred, known))
    return result


def score_slices(
    samples: Sequence[Sample],
    pred: Sequence[Sequence[str]],
    known: set[Mention] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the scores of all samples and, where given, of each kind of evidence."""
    slices = {ALL: score(samples, pred, known)}
    for kind in sorted({sample.evidence for sample in samples if sample.evidence}):
        chosen = [index for index, sample in enumerate(samples) if sample.evidence == kind]
        slices[kind] = score(
            [samples[index] for index in chosen], [pred[index] for index in chosen], known
        )
    return slices


def _per_type(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> dict[str, Counts]:
    """Return type -> counts, over the types of gold and prediction, sorted."""
    totals: dict[str, Counts] = {}
    for gold_tags, pred_tags in zip(gold, pred, strict=True):
        gold_spans, pred_spans = entity_spans(gold_tags), entity_spans(pred_tags)
        for name in {span[0] for span in (*gold_spans, *pred_spans)}:
            counts = count_spans(
                (span for span in gold_spans if span[0] == name),
                (span for span in pred_spans if span[0] == name),
            )
            totals[name] = totals.get(name, Counts()) + counts
    return dict(sorted(totals.items()))


def _seen_recall(
    samples: Sequence[Sample], pred: Sequence[Sequence[str]], known: set[Mention]
) -> dict[str, dict[str, float | int]]:
    """Return recall of the gold mentions that training did and did not show."""
    found = {True: 0, False: 0}
    total = {True: 0, False: 0}
    for sample, tags in zip(samples, pred, strict=True):
        predicted = set(entity_spans(tags))
        for span in entity_spans(sample.tags or []):
            entity_type, start, end = span
            is_seen = (" ".join(sample.tokens[start:end]), entity_type) in known
            total[is_seen] += 1
            found[is_seen] += span in predicted
    return {
        name: {
            "recall": 100.0 * found[key] / total[key] if total[key] else 0.0,
            "n_gold": total[key],
        }
        for name, key in (("seen", True), ("unseen", False))
    }
