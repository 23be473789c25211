"""Groups of near-duplicate tweets, within and across splits, and their conflicting gold."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from extract.corpora.audit.overlap import near_digests, near_key
from extract.corpora.handles import handle_positions
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans

Labels = tuple[str, ...]
"""The types that a tweet gives a surface, one an occurrence, sorted; empty where it is none."""


@dataclass(frozen=True)
class Group:
    """Two or more tweets with one key (see `overlap.near_key`)."""

    key: str
    members: tuple[tuple[str, Sample], ...]
    """(split, sample), in the order of the splits."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a tweet of the group."""
        return tuple(dict.fromkeys(split for split, _ in self.members))

    @property
    def is_exact(self) -> bool:
        """Whether two of the tweets have the same tokens."""
        return len({tuple(sample.tokens) for _, sample in self.members}) < len(self.members)

    def conflicts(self) -> dict[str, dict[str, Labels]]:
        """Return surface -> sample id -> types, of each mention that the tweets label differently.

        Surfaces are compared in lower case. Handles are left out: near-duplicates may name other
        users, who may be of another type.
        """
        labelled = [sample for _, sample in self.members if sample.tags is not None]
        found = {sample.id: _types_by_surface(sample) for sample in labelled}
        surfaces = sorted({surface for types in found.values() for surface in types})
        table = {s: {i: found[i].get(s, ()) for i in found} for s in surfaces}
        return {s: types for s, types in table.items() if len(set(types.values())) > 1}


def _types_by_surface(sample: Sample) -> dict[str, Labels]:
    handles = set(handle_positions(sample.tokens))
    types: dict[str, list[str]] = defaultdict(list)
    for entity_type, start, end in entity_spans(sample.tags):
        if handles.isdisjoint(range(start, end)):
            types[" ".join(sample.tokens[start:end]).lower()].append(entity_type)
    return {surface: tuple(sorted(names)) for surface, names in types.items()}


def find_groups(splits: Mapping[str, Sequence[Sample]]) -> list[Group]:
    """Return the groups in order of their first tweet."""
    digests = [near_digests(samples) for samples in splits.values()]
    if not digests:
        return []
    _, group_of, sizes = np.unique(np.concatenate(digests), return_inverse=True, return_counts=True)
    places: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(sizes[group_of] > 1).tolist():
        places[int(group_of[place])].append(place)
    return [_group([_at(splits, place) for place in found]) for found in places.values()]


def _group(members: Sequence[tuple[str, Sample]]) -> Group:
    return Group(near_key(members[0][1].tokens), tuple(members))


def _at(splits: Mapping[str, Sequence[Sample]], place: int) -> tuple[str, Sample]:
    """Return (split, sample) of a place in all splits, one after another."""
    for split, samples in splits.items():
        if place < len(samples):
            return split, samples[place]
        place -= len(samples)
    raise IndexError(place)


def describe_groups(groups: Sequence[Group]) -> dict[str, Any]:
    """Return `groups`, `exact`, `across`, `conflicting` (numbers) and `list`, one object a group.

    Of each group: `splits`, `exact`, `samples` (id and text) and `conflicts`.
    """
    listed = [
        {
            "splits": list(group.splits),
            "exact": group.is_exact,
            "samples": {sample.id: " ".join(sample.tokens) for _, sample in group.members},
            "conflicts": {
                surface: {sample_id: list(names) for sample_id, names in types.items()}
                for surface, types in group.conflicts().items()
            },
        }
        for group in groups
    ]
    return {
        "groups": len(listed),
        "exact": sum(group["exact"] for group in listed),
        "across": sum(len(group["splits"]) > 1 for group in listed),
        "conflicting": sum(bool(group["conflicts"]) for group in listed),
        "list": listed,
    }
