"""How many tweets of each kind of evidence, type and number of entities a split has."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from extract.sample.language import ENTITY_TYPES, EVIDENCE

SHARES = (0.4, 0.3, 0.3)
"""Of the entities, in the order of EVIDENCE."""
_DOUBLE_SHARE = 0.2
"""Of the tweets, how many have two entities; the same in every kind of evidence."""

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class Slot:
    """One tweet to be written."""

    evidence: str
    entity_type: str
    n_entities: int


class Dealer(Generic[_Thing]):
    """Deals things in shuffled rounds, so that each comes up equally often."""

    def __init__(self, rng: random.Random, things: Sequence[_Thing]) -> None:
        self._rng, self._things = rng, tuple(things)
        self._left: list[_Thing] = []

    def deal(self) -> _Thing:
        """Return the next thing."""
        if not self._left:
            self._left = self._rng.sample(self._things, len(self._things))
        return self._left.pop()


def split_slots(rng: random.Random, size: int) -> list[Slot]:
    """Return the shuffled slots of a split of `size` tweets.

    All entities of a tweet share its type and evidence, so quotas of entities are exact: with
    `size` a multiple of 50, 40/30/30 % by evidence; types are equal within each kind of evidence
    as far as its number of entities divides by four.
    """
    slots: list[Slot] = []
    for evidence, n_tweets in zip(EVIDENCE, _round_shares(size), strict=True):
        # Three tweets for four types leave no type two entities.
        n_doubles = round(_DOUBLE_SHARE * n_tweets) if n_tweets >= len(ENTITY_TYPES) else 0
        entities = _even(n_tweets + n_doubles, len(ENTITY_TYPES))
        doubles = _even(n_doubles, len(ENTITY_TYPES))
        for entity_type, n_entities, n_double in zip(ENTITY_TYPES, entities, doubles, strict=True):
            slots += [Slot(evidence, entity_type, 2)] * n_double
            slots += [Slot(evidence, entity_type, 1)] * (n_entities - 2 * n_double)
    rng.shuffle(slots)
    return slots


def _round_shares(size: int) -> list[int]:
    """Return whole numbers near SHARES * size that add up to size (largest remainders)."""
    exact = [share * size for share in SHARES]
    counts = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
    for index in by_remainder[: size - sum(counts)]:
        counts[index] += 1
    return counts


def _even(total: int, parts: int) -> list[int]:
    """Return `total` in `parts` whole numbers that differ by at most one."""
    return [total // parts + (index < total % parts) for index in range(parts)]
