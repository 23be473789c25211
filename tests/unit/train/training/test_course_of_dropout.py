"""The dropout masks of each pass of a training."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.builders.courses import Course, recorded
from tests.builders.short_trainings import EPOCHS, short_training
from tests.builders.train import dummy_system
from train.training.loop import fit

pytestmark = pytest.mark.usefixtures("dummy")

# All batches have one shape, so that their masks can be compared.
LENGTHS = [5] * 12
DROPOUT = 0.4


def course_of(folder: Path, **changes: object) -> Course:
    changes = {"dropout": DROPOUT, **changes}
    return recorded(lambda: fit(short_training(folder, LENGTHS, **changes)))


def masks_of(course: Course) -> list[list]:
    return [mask for epoch in course.epochs for one in epoch.passes for mask in one.masks]


def test_no_two_passes_have_the_same_mask(tmp_path: Path) -> None:
    masks = masks_of(course_of(tmp_path))
    assert len(masks) == EPOCHS * 3
    assert all(one != other for one, other in combinations(masks, 2))


def test_the_seed_decides_the_masks(tmp_path: Path) -> None:
    first = masks_of(course_of(tmp_path, out="first"))
    assert first == masks_of(course_of(tmp_path, out="again"))
    others = masks_of(course_of(tmp_path, out="other", seed=2))
    assert all(one != other for one, other in zip(first, others, strict=True))


def test_training_drops_the_share_that_was_asked_for(tmp_path: Path) -> None:
    assert 1 - np.mean(masks_of(course_of(tmp_path))) == pytest.approx(DROPOUT, abs=0.05)


def test_every_training_pass_is_in_training_mode(tmp_path: Path) -> None:
    """A validation must not leave the system in evaluation mode."""
    for epoch in course_of(tmp_path).epochs:
        assert all(one.is_training for one in epoch.passes)


def test_validation_drops_nothing(tmp_path: Path) -> None:
    course = course_of(tmp_path)
    assert not any(one.is_training for one in course.taggings)
    assert len(course.taggings) >= EPOCHS
    assert np.all([mask for one in course.taggings for mask in one.masks])


def test_draws_in_validation_do_not_move_the_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed and epoch decide the masks, and nothing that was drawn in an epoch before."""
    expected = masks_of(course_of(tmp_path, out="quiet"))
    original = dummy_system.Model.decode

    def decode(model: dummy_system.Model, batch: dict, view: str) -> list[list[str]]:
        torch.rand(3)
        return original(model, batch, view)

    monkeypatch.setattr(dummy_system.Model, "decode", decode)
    assert masks_of(course_of(tmp_path, out="drawing")) == expected
