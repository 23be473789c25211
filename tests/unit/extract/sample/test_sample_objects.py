"""Drawn objects: as much ink as planned, and fills that share the box alike, whatever the kind."""

import itertools

import numpy as np
import pytest

from extract.sample import objects
from extract.sample.captions import KINDS_OF_TYPE, NEUTRAL_KINDS
from extract.sample.objects import draw_roles
from extract.sample.pen import FILLS, Role
from extract.sample.picture import Placed
from extract.sample.plan import plan_corpus

TELLING = [kind for kinds in KINDS_OF_TYPE.values() for kind in kinds]
SIZE = (540, 500)
PALETTE = plan_corpus(1, (4, 4, 4))[0].picture.mains[0].palette


def shares(kind: str, *, seed: int = 0, ink_share: float | None = 0.17) -> np.ndarray:
    """The part of the box that each role covers, shape (roles,)."""
    placed = Placed(kind, (0, 0, 9, 9), PALETTE, False, seed, ink_share)
    levels = np.asarray(draw_roles(placed, SIZE))
    assert levels.shape == SIZE[::-1]
    return np.bincount(levels.ravel(), minlength=len(Role)) / levels.size


@pytest.mark.parametrize("kind", TELLING)
def test_ink_and_fills_do_not_depend_on_the_kind(kind: str) -> None:
    for seed, ink_share in itertools.product(range(3), (0.15, 0.19)):
        found = shares(kind, seed=seed, ink_share=ink_share)
        assert found[Role.FREE] == 0
        assert found[Role.INK] == pytest.approx(ink_share, abs=0.02)
        fills = found[list(FILLS)] / found[list(FILLS)].sum()
        # Six equal parts would be 0.167; no band can make a part of the object smaller.
        assert fills.min() > 0.12
        assert fills.max() < 0.36


def test_clutter_lies_on_nothing_and_has_usual_outlines() -> None:
    found = {kind: shares(kind, ink_share=None) for kind in NEUTRAL_KINDS}
    for share in found.values():
        assert share[Role.FREE] > 0.3
        assert share[Role.CARD] == share[Role.STRIPE] == 0
    ink = [share[Role.INK] for share in found.values()]
    assert max(ink) > 1.5 * min(ink)


def test_two_seeds_differ_and_one_does_not() -> None:
    def levels(seed: int) -> np.ndarray:
        placed = Placed("dancer", (0, 0, 9, 9), PALETTE, True, seed, 0.17)
        return np.asarray(draw_roles(placed, SIZE))

    assert np.array_equal(levels(1), levels(1))
    assert not np.array_equal(levels(1), levels(2))


@pytest.mark.parametrize("total", [0, 1, 5, 17, 200])
@pytest.mark.parametrize("counts", [(0,), (3, 3), (9, 0, 4), (1, 50, 2, 2, 7)])
def test_the_lowest_are_raised_to_one_level(counts: tuple[int, ...], total: int) -> None:
    expected = np.array(counts)
    for _ in range(total):  # one at a time, always to the lowest
        expected[expected.argmin()] += 1
    raised = np.array(counts) + objects._shares_that_level(np.array(counts), total)
    assert raised.sum() == expected.sum()
    assert sorted(raised) == sorted(expected)
    assert (raised >= counts).all()


def test_the_ink_is_darker_than_every_fill() -> None:
    for plan in plan_corpus(2, (40, 4, 4)):
        for placed in plan.picture.mains:
            palette = placed.palette
            ink = sum(palette.ink)
            assert all(sum(getattr(palette, role.name.lower())) > ink for role in FILLS)
