"""SIGKILL in every sharded stage: what is counted are rows computed twice."""

import random
from pathlib import Path

from tests.faults.corpus import make_corpus
from tests.faults.kills import kill_stage
from tests.faults.processes import import_commands
from tests.faults.row import Row
from tests.faults.stages import Crops, Extraction

NAME = "kill_extraction"
PLUGINS = ("random", "pixels", "annotations", "caption_list", "clip")


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill the extraction of each plug-in, and the crops."""
    import_commands(
        "extract", ["extract.features.engine", "extract.features.inputs", "torch", "transformers"]
    )
    corpus = make_corpus(folder / "corpus")
    stages = [*(Extraction(corpus, plugin) for plugin in PLUGINS), Crops(corpus)]
    return [kill_stage(stage, folder / stage.name, rng, rounds) for stage in stages]
