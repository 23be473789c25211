"""Counts of a corpus, per split: what a paper's data table lists, and what it hides."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans, is_orphan
from extract.tables.text_index import distinct


def describe_split(
    samples: Sequence[Sample], status_of: Callable[[str], str] | None = None
) -> dict[str, Any]:
    """Return the counts of one split.

    Args:
        samples: of the split.
        status_of: image id -> status; None leaves the images out.

    Returns:
        `tweets`, `tokens`, `longest` (tokens), `images` by status; with labels also `entities`
        (conlleval's reading), `types`, `b_tags`, `orphan_i` (I- that continues nothing) and
        `without_entity` (tweets); with evidence kinds `evidence` (entities by kind).
    """
    n_tokens = longest = n_labelled = without_entity = 0
    types, labels, evidence = Counter(), Counter(), Counter()
    # Once through: samples may be parsed as they are looked at.
    for sample in samples:
        n_tokens += len(sample.tokens)
        longest = max(longest, len(sample.tokens))
        if sample.tags is None:
            continue
        found = entity_spans(sample.tags)
        n_labelled += 1
        without_entity += not found
        types.update(entity_type for entity_type, _, _ in found)
        labels["b_tags"] += sum(tag.startswith("B-") for tag in sample.tags)
        labels["orphan_i"] += count_orphans(sample.tags)
        if sample.evidence is not None:
            evidence[sample.evidence] += len(found)
    counts: dict[str, Any] = {"tweets": len(samples), "tokens": n_tokens, "longest": longest}
    if status_of:
        status = Counter(map(status_of, distinct(sample.image_id for sample in samples)))
        counts["images"] = {name: status[name] for name in STATUS if status[name]}
    if n_labelled:
        counts |= {
            "entities": sum(types.values()),
            "types": dict(sorted(types.items())),
            **labels,
            "without_entity": without_entity,
        }
    if evidence:
        counts["evidence"] = dict(sorted(evidence.items()))
    return counts


def count_orphans(tags: Sequence[str]) -> int:
    """Return how many I- tags continue no entity of their type (invalid in IOB2)."""
    return sum(is_orphan(before, tag) for before, tag in zip(["O", *tags], tags, strict=False))
