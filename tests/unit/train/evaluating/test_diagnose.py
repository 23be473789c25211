"""The best epoch on test: kept weights, the gap, and no way into a table of results."""

import json
import shutil
from pathlib import Path

import pytest

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, DataError, MissingFileError
from tests.builders.stops import stop_before
from tests.builders.train import dummy_system
from tests.builders.train.dummy_system import write_corpus
from train.__main__ import main
from train.comparing.results import read_views
from train.evaluating.diagnose import DiagnoseJob, compare, diagnose, diagnosis_rows
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

EPOCHS = 4
RECIPE = {"epochs": EPOCHS, "batch_size": 5, "lr": {"default": 0.05}}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"))
    return tmp_path / "samples"


def job(samples: Path, out: str = "run", *, keep_epochs: bool = True, **recipe) -> FitJob:
    spec = RunSpec("r", "dummy", recipe=Recipe(**{**RECIPE, **recipe}))
    values = {"device": "cpu", "dataset": "toy", "keep_epochs": keep_epochs}
    return FitJob(spec, samples, samples.parent / out, 1, **values)


def epochs_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "epochs").glob("*"))}


def scored(run: Path, samples: Path) -> dict:
    evaluate(EvaluateJob(run, samples / "test.jsonl", run, device="cpu"))
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("recipe", [{}, {"ema": 0.9}])
def test_keeping_epochs_changes_nothing_else(samples: Path, recipe: dict) -> None:
    fit(job(samples, "kept", **recipe))
    fit(job(samples, "plain", keep_epochs=False, **recipe))
    kept, plain = samples.parent / "kept", samples.parent / "plain"
    for name in ("model.safetensors", "run.json", "metrics.jsonl"):
        assert (kept / name).read_bytes() == (plain / name).read_bytes(), name
    found = epochs_of(kept)
    assert list(found) == [f"epoch{epoch:03d}.safetensors" for epoch in range(1, EPOCHS + 1)]
    assert len(set(found.values())) == EPOCHS
    best = json.loads((kept / "run.json").read_text(encoding="utf-8"))["best_epoch"]
    assert found[f"epoch{best:03d}.safetensors"] == (kept / "model.safetensors").read_bytes()
    assert not (plain / "epochs").exists()
    # Weights of another training never stand beside a run.
    fit(job(samples, "kept", keep_epochs=False, **{**recipe, "epochs": EPOCHS - 1}))
    assert not (kept / "epochs").exists()


def test_each_epoch_has_the_score_that_evaluation_gives_its_weights(samples: Path) -> None:
    fit(job(samples))
    run = samples.parent / "run"
    before = epochs_of(run)
    found = diagnose(DiagnoseJob(run, samples / "test.jsonl", device="cpu"))
    assert found["diagnostic"] is True and "no one may choose" in found["note"]
    assert [line["epoch"] for line in found["epochs"]] == list(range(1, EPOCHS + 1))
    result = scored(run, samples)
    views = {view: slices["all"]["f1"] for view, slices in result["views"].items()}
    assert found["best_dev"]["test"] == views
    assert found["best_dev"]["epoch"] == result["checkpoint"]["epoch"]
    for line in found["epochs"]:
        copy = samples.parent / f"copy{line['epoch']}"
        shutil.copytree(run, copy)
        weights = copy / "epochs" / f"epoch{line['epoch']:03d}.safetensors"
        shutil.copy(weights, copy / "model.safetensors")
        views = scored(copy, samples)["views"]
        assert line["test"] == {view: slices["all"]["f1"] for view, slices in views.items()}
    assert len({line["test"]["mm"] for line in found["epochs"]}) > 1
    assert found["gap"] >= 0 and epochs_of(run) == before


def test_the_gap_is_to_the_chosen_epoch_in_the_headline_view() -> None:
    tests = [(50.0, 99.0), (70.0, 0.0), (60.0, 0.0), (70.0, 0.0)]
    epochs = [
        {"epoch": epoch, "valid": {"mm": 1.0}, "test": {"mm": mm, "text": text}}
        for epoch, (mm, text) in enumerate(tests, start=1)
    ]
    found = compare(epochs, best_dev=3, view="mm")
    assert (found["best_dev"]["epoch"], found["best_test"]["epoch"]) == (3, 2)
    assert found["gap"] == 10.0
    assert compare(epochs, best_dev=4, view="mm")["gap"] == 0.0


@pytest.mark.parametrize("lost", [None, 1])
def test_a_resumed_run_has_all_epochs(samples: Path, monkeypatch, caplog, lost) -> None:
    caplog.set_level("INFO")
    fit(job(samples, "whole"))
    stop_before(monkeypatch, dummy_system.Model, "forward", 18, job(samples, "killed"))  # epoch 3
    killed = samples.parent / "killed"
    assert (killed / "state" / "pointer.json").is_file() and epochs_of(killed)
    if lost:
        (killed / "epochs" / "epoch001.safetensors").unlink()
    fit(job(samples, "killed"))
    assert ("resumed after epoch" in caplog.text) == (lost is None)
    assert ("[1] are not there: training starts anew" in caplog.text) == (lost is not None)
    assert epochs_of(killed) == epochs_of(samples.parent / "whole")


def test_a_run_that_kept_nothing_says_how_to_keep(samples: Path) -> None:
    fit(job(samples, keep_epochs=False))
    with pytest.raises(MissingFileError, match=r"kept 0 of 4 epochs.*keep_epochs"):
        diagnose(DiagnoseJob(samples.parent / "run", samples / "test.jsonl", device="cpu"))


def test_commands_write_files_of_their_own_that_are_no_results(samples: Path, capsys) -> None:
    fit(job(samples))
    run, out = samples.parent / "run", samples.parent / "best_test.json"
    command = ["diagnose", "--run", run, "--samples", samples / "test.jsonl", "--out", out]
    assert main([*map(str, command), "--device", "cpu"]) == 0
    table = samples.parent / "best_test.tsv"
    assert main(["diagnose-table", "--diagnoses", str(out), "--out", str(table)]) == 0
    lines = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    found = json.loads(out.read_text(encoding="utf-8"))
    record = dict(zip(*lines, strict=True))
    assert record["dataset"] == "toy" and record["gap"] == f"{found['gap']:.2f}"
    with pytest.raises(DataError, match=r"A diagnosis .* is no result"):
        read_views(out)
    scored(run, samples)
    with pytest.raises(DataError, match="expected what `python -m train diagnose` writes"):
        diagnosis_rows([run / "metrics.json"])


@pytest.mark.parametrize(
    "content",
    [
        '{"diagnostic": true}',
        '{"diagnostic": true, "best_dev": 1, "best_test": {}, "headline_view": "main"}',
        "[]",
        "{",
    ],
)
def test_a_file_that_is_no_diagnosis_is_a_users_error(tmp_path: Path, capsys, content) -> None:
    path = tmp_path / "best_test.json"
    path.write_text(content, encoding="utf-8")
    assert main(["diagnose-table", "--diagnoses", str(path), "--out", str(tmp_path / "t")]) == 2
    error = capsys.readouterr().err
    assert f"{path}: expected what `python -m train diagnose` writes" in error
    assert "Traceback" not in error


def test_scores_name_the_weights_they_are_about(samples: Path) -> None:
    fit(job(samples))
    run = samples.parent / "run"
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    frozen = scored(run, samples)["checkpoint"]
    sha256 = file_sha256(run / "model.safetensors")
    assert frozen == {"sha256": sha256, "epoch": info["best_epoch"], "selected_on": "valid"}
    fit(job(samples, "last", selection="last"))
    last = scored(samples.parent / "last", samples)["checkpoint"]
    assert (last["selected_on"], last["epoch"]) == ("nothing", EPOCHS)


def test_an_epoch_that_was_chosen_on_test_is_not_scored(samples: Path) -> None:
    fit(job(samples))
    path = samples.parent / "run" / "run.json"
    info = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**info, "selected_on": "test"}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"selected_on is 'test'.*valid \(the best F1 on valid\)"):
        scored(path.parent, samples)
