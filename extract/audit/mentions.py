"""Mentions (surface and type of an entity), and how many of a split the training split shows."""

from collections.abc import Sequence

from extract.manifest import Sample
from extract.tags import Span, entity_spans

Mention = tuple[str, str]
"""(surface text, entity type)"""


def mention_of(sample: Sample, span: Span, *, fold_case: bool = False) -> Mention:
    """Return the mention of one entity of a sample."""
    entity_type, start, end = span
    surface = " ".join(sample.tokens[start:end])
    return (surface.lower() if fold_case else surface), entity_type


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
    counts = {"entities": sum(len(mentions_of(sample)) for sample in samples)}
    for name, fold_case in (("seen", True), ("seen_same_case", False)):
        known = {m for sample in train for m in mentions_of(sample, fold_case=fold_case)}
        counts[name] = sum(
            m in known for sample in samples for m in mentions_of(sample, fold_case=fold_case)
        )
    return counts
