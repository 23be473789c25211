"""SIGKILL in training: what is counted are epochs that were begun and had to be repeated."""

import random
from pathlib import Path

from tests.faults.kills import kill_stage
from tests.faults.processes import import_commands
from tests.faults.row import Row
from tests.faults.stages import Fit
from tests.faults.trainings import make_trainings

NAME = "kill_training"


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill each training."""
    modules = [
        "train.training.loop",
        "train.training.overlap",
        "train.systems.text_crf.model",
        "extract.networks.weights",
    ]
    import_commands("train", modules)
    import_commands("extract")
    stages = [Fit(training) for training in make_trainings(folder / "corpus")]
    return [kill_stage(stage, folder / stage.name, rng, rounds) for stage in stages]
