"""The gradients that the optimizer is given at each update."""

from pathlib import Path

import numpy as np
import pytest

from tests.builders.courses import Update, flat, recorded
from tests.builders.short_trainings import short_training
from train.training.loop import fit

pytestmark = pytest.mark.usefixtures("dummy")

LENGTHS = [3, 4, 5, 6] * 5


def updates_of(folder: Path, **recipe: object) -> list[Update]:
    return recorded(lambda: fit(short_training(folder, LENGTHS, **recipe))).updates


def norms(updates: list[Update], which: str) -> np.ndarray:
    return np.array([np.linalg.norm(flat(getattr(update, which))) for update in updates])


@pytest.mark.parametrize("accumulation", [1, 2])
def test_clipping_shortens_long_gradients_and_keeps_their_direction(
    tmp_path: Path, accumulation: int
) -> None:
    untouched = updates_of(tmp_path, out="untouched", accumulation=accumulation)
    clip = float(np.median(norms(untouched, "summed")))
    updates = updates_of(tmp_path, clip=clip, accumulation=accumulation)
    before, after = norms(updates, "summed"), norms(updates, "used")
    is_long = before > clip
    assert is_long.any() and not is_long.all()
    assert after[is_long] == pytest.approx(clip, rel=1e-5)
    for update, one_is_long in zip(updates, is_long, strict=True):
        if one_is_long:
            shortened = flat(update.summed) * clip / np.linalg.norm(flat(update.summed))
            assert flat(update.used) == pytest.approx(shortened, rel=1e-4, abs=1e-9)
        else:
            assert update.used == update.summed


def test_without_a_clip_gradients_are_used_as_they_are(tmp_path: Path) -> None:
    for update in updates_of(tmp_path, clip=0.0):
        assert update.used == update.summed and np.any(flat(update.used))


def test_an_update_forgets_the_gradients_of_the_update_before(tmp_path: Path) -> None:
    """At a rate of nearly zero the same batches give the same gradients in every epoch."""
    lengths, still = [3, 4, 5, 6], {"lr": {"default": 1e-12}, "batch_size": 4}
    job = short_training(tmp_path, lengths, **still)
    first, *others = recorded(lambda: fit(job)).updates
    assert others
    for update in others:
        assert flat(update.used) == pytest.approx(flat(first.used), rel=1e-4, abs=1e-7)
