"""Mentions (surface and type of an entity), and how many of a split the training split shows."""

from collections.abc import Sequence

from extract.tables.samples import Sample
from extract.tables.tags import Span, entity_spans

Mention = tuple[str, str]
"""(surface text, entity type)"""


def mention_of(sample: Sample, span: Span, *, fold_case: bool = False) -> Mention:
    """Return the mention of one entity of a sample."""
    entity_type, start, end = span
    mention = " ".join(sample.tokens[start:end]), entity_type
    return _fold_case(mention) if fold_case else mention


def _fold_case(mention: Mention) -> Mention:
    surface, entity_type = mention
    return surface.lower(), entity_type


def mentions_of(sample: Sample, *, fold_case: bool = False) -> list[Mention]:
    """Return the mentions of a sample in order, conlleval's reading."""
    spans = entity_spans(sample.tags or [])
    return [mention_of(sample, span, fold_case=fold_case) for span in spans]


def count_seen(samples: Sequence[Sample], train: Sequence[Sample]) -> dict[str, int]:
    """Count the mentions of a split that occur in training.

    Returns:
        `entities`; `seen`, where case does not matter (as the seen and unseen recall of the
        evaluation has it); `seen_same_case`, where it does.
    """
    # Once through each: samples may be parsed as they are looked at.
    known = {mention for sample in train for mention in mentions_of(sample)}
    folded = {_fold_case(mention) for mention in known}
    counts = {"entities": 0, "seen": 0, "seen_same_case": 0}
    for sample in samples:
        for mention in mentions_of(sample):
            counts["entities"] += 1
            counts["seen"] += _fold_case(mention) in folded
            counts["seen_same_case"] += mention in known
    return counts
