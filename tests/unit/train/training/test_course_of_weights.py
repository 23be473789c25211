"""The weights of a training after each update, and those that are validated and kept."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.builders.courses import Course, Update, flat, recorded, values_of
from tests.builders.short_trainings import EPOCHS, short_training
from tests.builders.train.dummy_system import Model
from train.training.loop import fit
from train.training.run_folder.checkpoint import load_run

pytestmark = pytest.mark.usefixtures("dummy")

LENGTHS = [3, 4, 5, 6] * 5
# A large epsilon makes a step nearly proportional to the gradient, so that rounding stays small.
STEADY = {"lr": {"encoder": 0.3, "head": 0.5}, "eps": 0.1, "schedule": "constant"}
RECIPES = {
    "plain": {},
    "clipped": {"clip": 0.1},
    "accumulated": {"accumulation": 3},
    "decayed": {"weight_decay": {"encoder": 0.3, "head": 0.1}},
    "fully decayed": {"weight_decay": 0.3, "decay_vectors": True},
    "adam": {"optimizer": "adam", "weight_decay": 0.2},
    "all at once": {"clip": 0.1, "accumulation": 2, "weight_decay": 0.3, "warmup": 0.4},
}


def plain_training(course: Course, model: Model, recipe: dict) -> list[np.ndarray]:
    """Return the weights after each update of a loop in which everything is spelt out.

    Args:
        course: whose batches and rates are taken.
        model: with the weights that the training started from.
        recipe: what differs from the usual.
    """
    decay, moments = recipe.get("weight_decay", 0.0), {}
    found = []
    for number, update in enumerate(course.updates, start=1):
        model.zero_grad()
        for one in update.passes:
            batch = model.collate([_Example(sample) for sample in one.samples])
            (model(batch).loss / len(update.passes)).backward()
        norm = math.sqrt(sum(weight.grad.square().sum() for weight in model.parameters()))
        share = min(1.0, recipe.get("clip", math.inf) / norm)
        for name, weight in model.named_parameters():
            group = "encoder" if name == "table.weight" else "head"
            rate = dict(update.rates)[group]
            own_decay = decay[group] if isinstance(decay, dict) else decay
            if weight.ndim == 1 and not recipe.get("decay_vectors"):
                own_decay = 0.0
            gradient, old = (weight.grad * share).double(), weight.data.double()
            if recipe.get("optimizer") == "adam":
                gradient = gradient + own_decay * old
            else:
                old = old * (1 - rate * own_decay)
            first, second = moments.get(name, (0.0, 0.0))
            moments[name] = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            mean, square = moments[name][0] / (1 - 0.9**number), moments[name][1]
            step = mean / ((square / (1 - 0.999**number)).sqrt() + STEADY["eps"])
            weight.data = (old - rate * step).float()
        found.append(flat(values_of(model)))
    return found


class _Example:
    """A sample without features."""

    def __init__(self, sample: object) -> None:
        self.sample, self.features = sample, {}


@pytest.mark.parametrize("name", RECIPES)
def test_the_weights_are_those_of_a_loop_that_is_spelt_out(tmp_path: Path, name: str) -> None:
    job = short_training(tmp_path, LENGTHS, **STEADY | RECIPES[name])
    course = recorded(lambda: fit(job))
    model, _ = load_run(job.out)
    start = course.updates[0].passes[0].weights
    model.load_state_dict({n: torch.tensor(v) for n, v in start.items()}, strict=False)
    expected = plain_training(course, model.train(), RECIPES[name])
    assert len(expected) >= 2 * EPOCHS
    for update, weights in zip(course.updates, expected, strict=True):
        np.testing.assert_allclose(flat(update.weights), weights, rtol=0, atol=1e-4)
    assert np.abs(expected[-1] - flat(start)).max() > 0.1, "the training moves the weights"


def averages(updates: list[Update], decay: float) -> list[np.ndarray]:
    """Return the moving average after each update; the first weights begin it."""
    found = [flat(updates[0].weights)]
    for update in updates[1:]:
        found.append(decay * found[-1] + (1 - decay) * flat(update.weights))
    return found


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_moving_average_of_every_update_is_validated(tmp_path: Path, accumulation: int) -> None:
    job = short_training(tmp_path, LENGTHS, ema=0.8, accumulation=accumulation)
    course = recorded(lambda: fit(job))
    expected = averages(course.updates, 0.8)
    n_updates = len(course.epochs[0].updates)
    assert len(course.epochs) == EPOCHS
    for number, epoch in enumerate(course.epochs, start=1):
        last = expected[number * n_updates - 1]
        assert np.abs(last - flat(epoch.updates[-1].weights)).max() > 1e-3
        for one in epoch.taggings:
            np.testing.assert_allclose(flat(one.weights), last, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_training_goes_on_from_its_own_weights_and_not_from_the_average(
    tmp_path: Path, ema: float
) -> None:
    updates = recorded(lambda: fit(short_training(tmp_path, LENGTHS, ema=ema))).updates
    for done, following in pairwise(updates):
        assert following.passes[0].weights == done.weights


def test_without_an_average_the_weights_of_the_last_update_are_validated(tmp_path: Path) -> None:
    for epoch in recorded(lambda: fit(short_training(tmp_path, LENGTHS))).epochs:
        assert all(one.weights == epoch.updates[-1].weights for one in epoch.taggings)


@pytest.mark.parametrize("ema", [0.0, 0.8])
@pytest.mark.parametrize("ties", ["first", "last"])
def test_the_weights_that_were_validated_in_the_best_epoch_are_kept(
    tmp_path: Path, ema: float, ties: str
) -> None:
    job = short_training(tmp_path, LENGTHS, ema=ema, ties=ties, epochs=6)
    course = recorded(lambda: fit(job))
    model, info = load_run(job.out)
    validated = [epoch.taggings[0].weights for epoch in course.epochs]
    assert values_of(model) == validated[info.best_epoch - 1]
    assert validated.count(values_of(model)) == 1
