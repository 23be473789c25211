"""SIGKILL in the stages that make whole files: merge, phrases, dataset, evaluate, summarize."""

import random
from pathlib import Path

from tests.faults.corpus import make_corpus
from tests.faults.file_stages import dataset_stage, evaluate_stage, phrases_stage, summarize_stage
from tests.faults.kills import kill_stage
from tests.faults.processes import import_commands
from tests.faults.row import Row
from tests.faults.stages import merge_stage
from tests.faults.trainings import make_trainings

NAME = "kill_files"


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill each stage."""
    import_commands("extract", ["extract.features.engine", "extract.features.inputs"])
    modules = [
        "train.comparing.intervals",
        "train.comparing.results",
        "train.comparing.results_page",
        "train.training.loop",
    ]
    import_commands("train", [*modules, "train.training.overlap"])
    corpus = make_corpus(folder / "corpus")
    stages = [
        merge_stage(corpus, folder),
        phrases_stage(corpus),
        dataset_stage(corpus),
        evaluate_stage(make_trainings(folder / "tweets")[0], folder / "run"),
        summarize_stage(folder / "runs"),
    ]
    return [kill_stage(stage, folder / stage.name, rng, rounds) for stage in stages]
