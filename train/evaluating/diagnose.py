"""What choosing the epoch on test would have given: a diagnostic, and never a result.

Every epoch that a run kept (train/training/run_folder/kept_epochs.py) is scored on a split, after
the epoch was chosen on valid. best_test.json says how much higher the best of these scores is: the
gain of a mistake. It has another name and another form than metrics.json, so no table of results
can take it in.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError
from extract.core.options import options_from
from extract.core.registry import load_module
from train.data.examples import FeatureSource, read_tagged, without_tags
from train.measures.inference import predict_tags
from train.measures.metrics import micro_counts
from train.training.accelerator import create_accelerator, seed_all
from train.training.run_folder.checkpoint import load_run, load_weights
from train.training.run_folder.kept_epochs import KeptEpochs
from train.training.run_folder.names import HISTORY
from train.training.run_spec import check_roles

NOTE = (
    "Diagnostic. best_test is the epoch with the highest test F1, which no one may choose: the "
    "result of this run is best_dev, the epoch that was chosen on valid."
)


@dataclass(frozen=True)
class DiagnoseJob:
    """What one `diagnose` is asked to do."""

    run: Path
    """Folder of a finished run that kept its epochs."""
    samples: Path
    """Tagged samples, e.g. test.jsonl."""
    stores: dict[str, Path] = field(default_factory=dict)
    """Role -> feature store."""
    device: str = "auto"
    workers: int = 0


@dataclass(frozen=True)
class DiagnosisRow:
    """One line of best_test.tsv; F1 in percent, of the headline view."""

    dataset: str
    run: str
    seed: int
    dev_epoch: int
    """The epoch chosen on valid, whose test F1 is the result."""
    dev_epoch_test_f1: float
    test_epoch: int
    """The first epoch with the highest test F1."""
    test_epoch_test_f1: float
    gap: float
    """What choosing on test would have added, points."""


def diagnose(job: DiagnoseJob) -> dict[str, Any]:
    """Score every kept epoch of a run on a split.

    Returns:
        The content of best_test.json: `diagnostic` (true), `note`, the run, `headline_view`,
        `epochs` with `valid` and `test` (view -> F1, percent), `best_dev` and `best_test` (one of
        `epochs` each, by the headline view on test) and their `gap` in points.

    Raises:
        MnerError: missing or unfitting inputs.
    """
    model, info = load_run(job.run)
    options = options_from(load_module("train.systems", info.system).Options, info.options, "run")
    check_roles(info.system, model.required_features(options), job.stores)
    history = _read_history(job.run, info.epochs_run)
    samples = read_tagged(job.samples)
    accelerator = create_accelerator(job.device, info.recipe.precision)
    seed_all(info.seed)
    model.to(accelerator.device)
    epochs = []
    with FeatureSource(job.stores, info.variant) as source:
        source.check_fingerprints(info.fingerprints)
        examples = source.join(without_tags(samples))
        for line in history:
            load_weights(model, KeptEpochs(job.run).path(line["epoch"]))
            tags = predict_tags(
                model,
                examples,
                batch_size=info.recipe.eval_batch_size,
                accelerator=accelerator,
                workers=job.workers,
            )
            gold = [sample.tags for sample in samples]
            found = {view: micro_counts(gold, tags[view]).f1 for view in tags}
            epochs.append({"epoch": line["epoch"], "valid": line["valid_f1"], "test": found})
    best = {"epochs": epochs, **compare(epochs, info.best_epoch, model.views[0])}
    names = ("dataset", "run", "system", "variant", "seed")
    identity = {name: getattr(info, name) for name in names}
    return {"diagnostic": True, "note": NOTE, **identity, "headline_view": model.views[0], **best}


def compare(epochs: Sequence[Mapping[str, Any]], best_dev: int, view: str) -> dict[str, Any]:
    """Return `best_dev`, `best_test` (the first with the highest test F1) and their `gap`.

    Args:
        epochs: `epoch`, `valid`, `test` of each, from the first.
        best_dev: the epoch that was chosen.
        view: the view whose test F1 counts.
    """
    chosen = next(line for line in epochs if line["epoch"] == best_dev)
    highest = max(epochs, key=lambda line: line["test"][view])
    gap = highest["test"][view] - chosen["test"][view]
    return {"best_dev": dict(chosen), "best_test": dict(highest), "gap": gap}


def diagnosis_rows(paths: Sequence[Path]) -> list[DiagnosisRow]:
    """Return the rows of best_test.tsv, in the order of the files.

    Raises:
        DataError: a file is no diagnosis.
        MissingFileError: no such file.
    """
    return [_read_row(Path(path)) for path in paths]


def _read_row(path: Path) -> DiagnosisRow:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; `python -m train diagnose` writes it.")
    expected = f"{path}: expected what `python -m train diagnose` writes"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of bytes that are not UTF-8
        raise DataError(f"{expected}, got no JSON ({error}).") from error
    if not isinstance(found, dict) or found.get("diagnostic") is not True:
        raise DataError(f"{expected}.")
    try:
        dev, test, view = found["best_dev"], found["best_test"], found["headline_view"]
        return DiagnosisRow(
            dataset=found["dataset"],
            run=found["run"],
            seed=found["seed"],
            dev_epoch=dev["epoch"],
            dev_epoch_test_f1=float(dev["test"][view]),
            test_epoch=test["epoch"],
            test_epoch_test_f1=float(test["test"][view]),
            gap=float(found["gap"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{expected}, got {error!r}. Run it again.") from error


def _read_history(run: Path, n_epochs: int) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl, after checking that the weights of each are there.

    Raises:
        MissingFileError: the run did not keep its epochs.
    """
    missing = KeptEpochs(run).missing(n_epochs)
    if missing or not n_epochs:
        raise MissingFileError(
            f"{KeptEpochs(run).path(missing[0] if missing else 1)}: no such weights; the run kept "
            f"{n_epochs - len(missing)} of {n_epochs} epochs. Set runtime.keep_epochs of the model "
            "to true and train again (`python -m train fit --keep-epochs all`, or `snakemake "
            "--forcerun fit`)."
        )
    lines = (Path(run) / HISTORY).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
