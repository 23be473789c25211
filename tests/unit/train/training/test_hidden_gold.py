"""A system sees the gold of train alone: that of other samples is gone before it is given them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extract.tables.samples import Sample, write_samples
from tests.builders.courses import recorded
from tests.builders.short_trainings import EPOCHS, short_training, tagged_tweets
from train.evaluating.diagnose import DiagnoseJob, diagnose
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.evaluating.predict import PredictJob, predict
from train.training.loop import FitJob, fit

pytestmark = pytest.mark.usefixtures("dummy")

LENGTHS = [3, 4, 5, 6] * 2
VIEWS = ("mm", "text")


def with_two_golds(split: str) -> list[Sample]:
    tweets = tagged_tweets(split, LENGTHS)
    return [replace(tweet, repaired_tags=list(tweet.tags)) for tweet in tweets]


@pytest.fixture
def job(tmp_path: Path) -> FitJob:
    found = replace(short_training(tmp_path, LENGTHS), keep_epochs=True)
    for split in ("train", "valid", "test"):
        write_samples(found.samples_dir / f"{split}.jsonl", with_two_golds(split))
    return found


def ids(split: str) -> list[str]:
    return [f"{split}{index}" for index in range(len(LENGTHS))]


def test_validation_hides_both_golds(job: FitJob) -> None:
    for epoch in recorded(lambda: fit(job)).epochs:
        seen = [sample for one in epoch.taggings for sample in one.samples]
        assert sorted(sample.id for sample in seen) == sorted(ids("valid") * len(VIEWS))
        assert all(sample.tags is None and sample.repaired_tags is None for sample in seen)


def test_only_train_is_learnt_from(job: FitJob) -> None:
    """The words, the statistics and the updates are those of train."""
    course = recorded(lambda: fit(job))
    assert course.vocabulary_ids == course.statistics_ids == ids("train")
    assert len(course.epochs) == EPOCHS
    for epoch in course.epochs:
        assert sorted(epoch.order) == ids("train")
        assert all(sample.tags for one in epoch.passes for sample in one.samples)


def evaluated(job: FitJob) -> object:
    return evaluate(
        EvaluateJob(job.out, job.samples_dir / "test.jsonl", job.out / "scores", device="cpu")
    )


def predicted(job: FitJob) -> object:
    return predict(
        PredictJob(job.out, job.samples_dir / "test.jsonl", job.out / "tagged", device="cpu")
    )


def diagnosed(job: FitJob) -> object:
    return diagnose(DiagnoseJob(job.out, job.samples_dir / "test.jsonl", device="cpu"))


@pytest.mark.parametrize("command", [evaluated, predicted, diagnosed])
def test_no_command_shows_a_system_the_gold_of_test(
    job: FitJob, command: Callable[[FitJob], object]
) -> None:
    fit(job)
    taggings = recorded(lambda: command(job)).taggings
    seen = [sample for one in taggings for sample in one.samples]
    assert {sample.id for sample in seen} == set(ids("test"))
    assert all(sample.tags is None and sample.repaired_tags is None for sample in seen)
    assert not any(one.is_training for one in taggings)
