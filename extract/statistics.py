"""Counts of a corpus, per split: what a paper's data table lists, and what it hides."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from extract.manifest import STATUS, ImageRow, Sample
from extract.tags import entity_spans, is_orphan


def describe_split(samples: Sequence[Sample], images: dict[str, ImageRow]) -> dict[str, Any]:
    """Return the counts of one split.

    Returns:
        `tweets`, `tokens`, `longest` (tokens), `images` by status; with labels also `entities`
        (conlleval's reading), `types`, `b_tags`, `orphan_i` (I- that continues nothing) and
        `without_entity` (tweets); with evidence kinds `evidence` (entities by kind).
    """
    status = Counter(images[image_id].status for image_id in {s.image_id for s in samples})
    counts: dict[str, Any] = {
        "tweets": len(samples),
        "tokens": sum(len(sample.tokens) for sample in samples),
        "longest": max((len(sample.tokens) for sample in samples), default=0),
        "images": {name: status[name] for name in STATUS if status[name]},
    }
    labelled = [sample for sample in samples if sample.tags is not None]
    if not labelled:
        return counts
    spans = [entity_spans(sample.tags) for sample in labelled]
    types = Counter(entity_type for found in spans for entity_type, _, _ in found)
    counts |= {
        "entities": sum(types.values()),
        "types": dict(sorted(types.items())),
        "b_tags": sum(tag.startswith("B-") for sample in labelled for tag in sample.tags),
        "orphan_i": sum(count_orphans(sample.tags) for sample in labelled),
        "without_entity": sum(not found for found in spans),
    }
    evidence = Counter()
    for sample, found in zip(labelled, spans, strict=True):
        if sample.evidence is not None:
            evidence[sample.evidence] += len(found)
    if evidence:
        counts["evidence"] = dict(sorted(evidence.items()))
    return counts


def count_orphans(tags: Sequence[str]) -> int:
    """Return how many I- tags continue no entity of their type (invalid in IOB2)."""
    return sum(is_orphan(before, tag) for before, tag in zip(["O", *tags], tags, strict=False))
