"""A training that was broken off goes on as if it had not been."""

from pathlib import Path

import pytest

from tests.builders.courses import recorded, recording
from tests.builders.short_trainings import EPOCHS, short_training
from tests.builders.stops import stop_before
from train.training.loop import Trainer, fit

pytestmark = pytest.mark.usefixtures("dummy")

LENGTHS = [3, 4, 5, 6] * 5
RECIPES = {
    "plain": {"length_buckets": False},
    "buckets": {"length_buckets": True, "clip": 0.5, "warmup": 0.6},
    "accumulation": {"accumulation": 2, "schedule": "cosine"},
    "average": {"ema": 0.9},
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("n_done", range(1, EPOCHS))
def test_the_epochs_that_are_left_are_those_of_an_unbroken_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, n_done: int
) -> None:
    """Batches, masks, rates, gradients and weights are the same to the last bit."""
    common = {"dropout": 0.4, **RECIPES[recipe]}
    whole = recorded(lambda: fit(short_training(tmp_path, LENGTHS, out="whole", **common)))
    job = short_training(tmp_path, LENGTHS, out="broken", **common)
    done = n_done * len(whole.epochs[0].updates)
    with recording() as begun:
        stop_before(monkeypatch, Trainer, "_update", done + 1, job)
    rest = recorded(lambda: fit(job))
    assert begun.epochs[:n_done] == whole.epochs[:n_done]
    assert len(rest.epochs) == EPOCHS - n_done
    assert rest.epochs == whole.epochs[n_done:]
