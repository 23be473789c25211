"""The score that HVPNeT and Co-MIPN print: seqeval over all labels, special ones included."""

import warnings
from collections.abc import Sequence

from seqeval.metrics.sequence_labeling import get_entities

from train.measures.metrics import Counts


def upstream_counts(
    gold: Sequence[Sequence[str | None]], predicted: Sequence[Sequence[str | None]]
) -> Counts:
    """Count entities as upstream does.

    A predicted special label is an entity of its own (of type `_`, `AD`, `CLS]` or `SEP]`), except
    that `X` before `O` or at the end is none. Upstream rounds F1 to four decimals; this does not.

    Args:
        gold: labels of the words of each sentence.
        predicted: likewise, as `Model.word_labels` gives them; where it has None the word was
            never read, and upstream does not count it, gold or not.
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
