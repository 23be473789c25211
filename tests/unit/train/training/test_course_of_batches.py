"""The order of samples and batches in each epoch of a training."""

from itertools import combinations, pairwise
from pathlib import Path

import pytest

from tests.builders.courses import Course, recorded
from tests.builders.short_trainings import EPOCHS, short_training
from train.training import sampling
from train.training.loop import fit

pytestmark = pytest.mark.usefixtures("dummy")

# No two tweets are equally long, so that a length names a tweet.
LENGTHS = [*range(1, 24, 2), *range(24, 0, -2)]
N_BATCHES = 6


def course_of(folder: Path, **changes: object) -> Course:
    return recorded(lambda: fit(short_training(folder, LENGTHS, **changes)))


@pytest.mark.parametrize("length_buckets", [True, False])
def test_each_epoch_has_all_samples_in_another_order(tmp_path: Path, length_buckets: bool) -> None:
    epochs = course_of(tmp_path, length_buckets=length_buckets).epochs
    assert len(epochs) == EPOCHS
    for epoch in epochs:
        assert sorted(epoch.order) == sorted(f"train{index}" for index in range(len(LENGTHS)))
    for one, other in combinations(epochs, 2):
        assert one.order != other.order


@pytest.mark.parametrize("length_buckets", [True, False])
def test_the_seed_decides_the_orders(tmp_path: Path, length_buckets: bool) -> None:
    orders = {}
    for out, seed in (("first", 1), ("again", 1), ("other", 2)):
        course = course_of(tmp_path, out=out, seed=seed, length_buckets=length_buckets)
        orders[out] = [epoch.order for epoch in course.epochs]
    assert orders["first"] == orders["again"]
    for mine, others in zip(orders["first"], orders["other"], strict=True):
        assert mine != others


def test_without_buckets_each_epoch_has_other_batches(tmp_path: Path) -> None:
    epochs = course_of(tmp_path, length_buckets=False).epochs
    batches = [{frozenset(one.ids) for one in epoch.passes} for epoch in epochs]
    for mine, others in combinations(batches, 2):
        assert len(mine) == N_BATCHES and mine != others


def test_a_bucket_holds_neighbours_in_length(tmp_path: Path) -> None:
    for epoch in course_of(tmp_path).epochs:
        ends = sorted((min(one.lengths), max(one.lengths)) for one in epoch.passes)
        assert len(ends) == N_BATCHES
        assert all(longest < shortest for (_, longest), (shortest, _) in pairwise(ends))


def test_buckets_come_neither_from_short_to_long_nor_the_other_way(tmp_path: Path) -> None:
    epochs = course_of(tmp_path).epochs
    sequences = [[min(one.lengths) for one in epoch.passes] for epoch in epochs]
    for sequence in sequences:
        assert sequence != sorted(sequence) and sequence != sorted(sequence, reverse=True)
    assert len(set(map(tuple, sequences))) == EPOCHS


def test_a_bucket_has_other_members_in_each_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only tweets that fall into one chunk of batches are sorted by length."""
    monkeypatch.setattr(sampling, "BATCHES_PER_CHUNK", N_BATCHES // 2)
    epochs = course_of(tmp_path).epochs
    batches = [{frozenset(one.ids) for one in epoch.passes} for epoch in epochs]
    for mine, others in combinations(batches, 2):
        assert len(mine) == N_BATCHES and mine != others


def test_the_last_update_of_an_epoch_takes_the_batches_that_are_left(tmp_path: Path) -> None:
    for epoch in course_of(tmp_path, accumulation=4).epochs:
        assert [len(update.passes) for update in epoch.updates] == [4, 2]
        assert len(epoch.order) == len(LENGTHS)
