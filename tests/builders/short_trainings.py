"""Trainings of the dummy system that take a fraction of a second, and the tweets they read."""

from collections.abc import Sequence
from pathlib import Path

from extract.tables.samples import Sample, write_samples
from train.training.loop import FitJob
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

EPOCHS = 4
NAMES = (("PER", "anna"), ("LOC", "rome"), ("PER", "bob"), ("LOC", "oslo"))


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


def tagged_tweets(split: str, lengths: Sequence[int]) -> list[Sample]:
    """Return one tweet of each length, at least 1; no two of them have the same id."""
    tweets = []
    for index, length in enumerate(lengths):
        entity_type, name = NAMES[index % len(NAMES)]
        tokens = [name, *(f"w{(index + place) % 7}" for place in range(1, length))]
        tags = [f"B-{entity_type}", *["O"] * (length - 1)]
        tweets.append(Sample(f"{split}{index}", f"{split}_{index}.jpg", tokens, tags))
    return tweets
