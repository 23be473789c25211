"""Scores as released code prints them."""

import warnings
from collections.abc import Sequence

from seqeval.metrics.sequence_labeling import get_entities

from train.measures.metrics import Counts


def rounded_f1(counts: Counts) -> float:
    """Return F1 in percent as flair prints it.

    Precision and recall are rounded to four decimals before they are combined, F1 once more.

    Source: flair's Metric.
    """
    precision, recall = round(counts.precision / 100, 4), round(counts.recall / 100, 4)
    total = precision + recall
    return 100 * round(2 * precision * recall / total, 4) if total else 0.0


def released_counts(
    gold: Sequence[Sequence[str | None]], predicted: Sequence[Sequence[str | None]]
) -> Counts:
    """Count entities as Co-MIPN's code does.

    A predicted special label is an entity of its own (of type `_`, `AD`, `CLS]` or `SEP]`), except
    that `X` before `O` or at the end is none. That code rounds F1 to four decimals; this does not.

    Args:
        gold: labels of the words of each sentence.
        predicted: likewise, as `Model.word_labels` gives them; where it has None the word was
            never read, and that code does not count it, gold or not.
    """
    pairs = [
        [(g, p) for g, p in zip(row, other, strict=True) if p is not None]
        for row, other in zip(gold, predicted, strict=True)
    ]
    right, said = (_spans([[pair[side] for pair in row] for row in pairs]) for side in (0, 1))
    return Counts(len(right & said), len(said), len(right))


def _spans(labels: list[list[str]]) -> set[tuple[str, int, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every label that is not BIO
        return set(get_entities(labels))
