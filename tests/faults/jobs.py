"""One stage of each kind, for the faults that are no kills."""

from pathlib import Path

from tests.faults.checks import expect_success
from tests.faults.corpus import make_corpus
from tests.faults.file_stages import dataset_stage, evaluate_stage, summarize_stage
from tests.faults.kills import Stage
from tests.faults.processes import import_commands, run_to_end
from tests.faults.stages import Crops, Extraction, Fit, merge_stage
from tests.faults.trainings import make_trainings

N_IMAGES = 24


def make_stages(folder: Path, *, with_small_files: bool = False) -> list[Stage]:
    """Prepare corpora; return features, merge, crops and fit.

    Args:
        folder: of the corpora.
        with_small_files: dataset, evaluate and summarize, too.
    """
    import_commands(
        "extract", ["extract.features.engine", "extract.features.inputs", "PIL.PngImagePlugin"]
    )
    import_commands("train", ["train.training.loop", "train.training.overlap"])
    corpus = make_corpus(folder / "images", N_IMAGES)
    training = make_trainings(folder / "tweets")[0]
    (folder / "shards").mkdir()
    stages = [
        Extraction(corpus, "pixels"),
        merge_stage(corpus, folder / "shards"),
        Crops(corpus),
        Fit(training),
    ]
    if with_small_files:
        stages += [
            dataset_stage(corpus),
            evaluate_stage(training, folder / "run"),
            summarize_stage(folder / "runs"),
        ]
    return stages


def undisturbed(stage: Stage, out: Path) -> dict[str, bytes]:
    """Run a stage without a fault; return its final files."""
    out.mkdir(parents=True)
    expect_success(run_to_end(stage.command(out), out.with_suffix(".log")))
    stage.complete(out)
    return dict(stage.results(out))
