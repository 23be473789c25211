"""The effect of corrections as tables (see effect.py)."""

from collections.abc import Mapping
from typing import Any

from extract.corpora.audit.sections import Section
from extract.corpora.repairs.format import REASONS

_COUNTED = {
    "entities": "entities",
    "B- tags": "b_tags",
    "invalid I-": "orphan_i",
}


def effect_sections(effect: Mapping[str, Mapping[str, Any]], n_undecided: int) -> list[Section]:
    """Return the corrections by reason and what they change, one row a split."""
    remark = f"Groups of duplicates left undecided: {n_undecided}" if n_undecided else ""
    by_reason = Section(
        "Corrections",
        ("split", *REASONS, "tweets"),
        [
            (split, *(f"{found['corrections'].get(r, 0):,}" for r in REASONS), str(found["tweets"]))
            for split, found in effect.items()
        ],
        remark,
        numbers=(*REASONS, "tweets"),
    )
    columns = (*(f"{name} {when}" for name in _COUNTED for when in ("before", "after")),)
    changed = ("entities lost", "entities new")
    counts = Section(
        "Labels before and after",
        ("split", *columns, *changed),
        [
            (
                split,
                *(f"{found[w][key]:,}" for key in _COUNTED.values() for w in ("before", "after")),
                f"{found['entities_lost']:,}",
                f"{found['entities_new']:,}",
            )
            for split, found in effect.items()
        ],
        "Entities as conlleval reads them; one with another boundary is one lost and one new.",
        numbers=(*columns, *changed),
    )
    return [by_reason, counts]
