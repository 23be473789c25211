"""What corrections do to a corpus, in numbers per split."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from extract.corpora.repairs.format import REASONS, Repairs
from extract.corpora.statistics import count_orphans
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans


def describe_effect(
    repairs: Repairs, repaired: Mapping[str, Sequence[Sample]]
) -> dict[str, dict[str, Any]]:
    """Return split -> what the corrections change in it.

    Args:
        repairs: the file.
        repaired: what `apply_repairs` gave.

    Returns:
        `corrections` (reason -> number), `tweets` (corrected), `before` and `after` (see
        `count_labels`), and of the entities in conlleval's reading `entities_lost` and
        `entities_new`: an entity with another boundary or type is one of each.
    """
    return {split: _describe_split(repairs, split, samples) for split, samples in repaired.items()}


def _describe_split(repairs: Repairs, split: str, samples: Sequence[Sample]) -> dict[str, Any]:
    reasons = Counter(c.reason for c in repairs.corrections if c.split == split)
    changed = [sample for sample in samples if sample.repaired_tags is not None]
    pairs = [(set(entity_spans(s.tags)), set(entity_spans(s.repaired_tags))) for s in changed]
    return {
        "corrections": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "tweets": len(changed),
        "before": count_labels(sample.tags for sample in samples),
        "after": count_labels(sample.gold_after_repairs for sample in samples),
        "entities_lost": sum(len(old - new) for old, new in pairs),
        "entities_new": sum(len(new - old) for old, new in pairs),
    }


def count_labels(labels: Iterable[Sequence[str] | None]) -> dict[str, int]:
    """Return `entities` (conlleval), `b_tags` and `orphan_i` of the tags of many tweets."""
    labels = [tags or () for tags in labels]
    return {
        "entities": sum(len(entity_spans(tags)) for tags in labels),
        "b_tags": sum(tag.startswith("B-") for tags in labels for tag in tags),
        "orphan_i": sum(count_orphans(tags) for tags in labels),
    }
