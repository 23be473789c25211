"""Trainings of the dummy system that take a fraction of a second."""

from collections.abc import Sequence
from pathlib import Path

from extract.manifest import write_samples
from tests.builders.tagged_tweets import tagged_tweets
from train.config import Recipe, RunSpec
from train.loop import FitJob

EPOCHS = 4


def short_training(
    folder: Path,
    lengths: Sequence[int],
    *,
    out: str = "run",
    seed: int = 1,
    dropout: float = 0.0,
    **recipe: object,
) -> FitJob:
    """Write tweets of these lengths as train and as valid; return a training on them.

    Args:
        folder: of the samples and the run.
        lengths: tokens of each tweet.
        out: name of the run folder.
        seed: of the training.
        dropout: of the system.
        recipe: what differs from four epochs in batches of four.
    """
    for split in ("train", "valid"):
        write_samples(folder / "samples" / f"{split}.jsonl", tagged_tweets(split, lengths))
    usual = {"epochs": EPOCHS, "batch_size": 4, "lr": {"default": 0.05}, "precision": "fp32"}
    spec = RunSpec("r", "dummy", options={"dropout": dropout}, recipe=Recipe(**usual | recipe))
    return FitJob(spec, folder / "samples", folder / out, seed=seed, device="cpu")
