"""Holm's correction against its definition as a closed test, and a worked example."""

import itertools
import random

import pytest

from extract.core.errors import DataError
from train.comparing.holm import holm


def closed_bonferroni(p_values: list[float]) -> list[float]:
    """Return for each test the largest Bonferroni p of all groups of tests that hold it.

    A hypothesis is rejected when every group with it is; with Bonferroni's test of a group this is
    Holm's procedure.
    """
    places = range(len(p_values))
    groups = [g for size in places for g in itertools.combinations(places, size + 1)]
    return [
        max(min(1.0, len(g) * min(p_values[j] for j in g)) for g in groups if i in g)
        for i in places
    ]


def test_worked_example() -> None:
    # Four tests at 5 %: 0.005 x 4 and 0.01 x 3 are rejected, 0.03 x 2 is not, and 0.04 follows it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_closure_of_bonferroni(seed: int) -> None:
    rng = random.Random(seed)
    p_values = [round(rng.random() ** 3, 2) for _ in range(rng.randint(1, 8))]
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(closed_bonferroni(p_values))
    ranked = sorted(zip(p_values, adjusted, strict=True))
    assert [pair[1] for pair in ranked] == sorted(adjusted)
    assert all(p <= q <= 1 for p, q in ranked)


def test_small_families_and_mistakes() -> None:
    assert holm([]) == [] and holm([0.2]) == [0.2] and holm([0.9, 0.8]) == [1.0, 1.0]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match="between 0 and 1"):
            holm([0.5, wrong])
