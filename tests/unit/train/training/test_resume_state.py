"""Damaged states, trainings killed at their very end, and two trainings in one folder."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extract.core.errors import BusyError
from extract.core.files import only_process
from tests.builders.stops import Stop, stop_before
from tests.builders.train.dummy_system import write_corpus
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.loop import FitJob, Trainer, fit
from train.training.recipe import Recipe
from train.training.resume import StateFolder
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

EPOCHS = 4
FILES = ("model.safetensors", "metrics.jsonl", "run.json")


@pytest.fixture
def job(tmp_path: Path) -> FitJob:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"))
    recipe = Recipe(epochs=EPOCHS, batch_size=5, lr={"default": 0.05})
    spec = RunSpec(run="r", system="dummy", recipe=recipe)
    return FitJob(spec, tmp_path / "samples", tmp_path / "run", seed=1, device="cpu")


def results(job: FitJob) -> dict[str, bytes]:
    return {name: (job.out / name).read_bytes() for name in FILES}


def expected(job: FitJob) -> dict[str, bytes]:
    whole = replace(job, out=job.out.with_name("whole"))
    fit(whole)
    return results(whole)


def resumed_from(job: FitJob) -> int:
    return json.loads((job.out / "fit.run.json").read_text(encoding="utf-8"))["resumed_from"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut off": lambda path: os.truncate(path, 10),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["epoch2/optimizer.bin", "epoch2/model.safetensors", "best"])
def test_a_damaged_state_is_never_continued(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str,
    damage: str,
) -> None:  # fmt: skip
    stop_before(monkeypatch, Trainer, "_run_epoch", 3, job)
    state = job.out / "state"
    path = next(state.glob("best_*")) if name == "best" else state / name
    DAMAGES[damage](path)
    caplog.set_level(logging.WARNING)
    fit(job)
    assert f"{path.name} " in caplog.text and "training starts anew" in caplog.text
    assert resumed_from(job) == 0
    assert results(job) == expected(job)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"guard": 1, "files": 2}'])
def test_a_damaged_pointer_is_no_crash(
    job: FitJob,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    stop_before(monkeypatch, Trainer, "_run_epoch", 3, job)
    (job.out / "state/pointer.json").write_bytes(content)
    caplog.set_level(logging.WARNING)
    fit(job)
    assert "pointer.json is damaged" in caplog.text
    assert resumed_from(job) == 0
    assert results(job) == expected(job)


@pytest.mark.parametrize("place", range(0, 1000, 53))
def test_a_flipped_bit_of_the_pointer_is_noticed(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    stop_before(monkeypatch, Trainer, "_run_epoch", 2, job)
    pointer = job.out / "state/pointer.json"
    data = bytearray(pointer.read_bytes())
    data[place % len(data)] ^= 1
    pointer.write_bytes(data)
    caplog.set_level(logging.WARNING)
    state = StateFolder(job.out / "state", json.loads(data)["guard"] if is_json(data) else "")
    assert state.read().epoch == 0
    assert "training starts anew" in caplog.text


def is_json(data: bytes) -> bool:
    try:
        return "guard" in json.loads(data)
    except ValueError:
        return False


def test_a_missing_pointer_is_said(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_before(monkeypatch, Trainer, "_run_epoch", 3, job)
    (job.out / "state/pointer.json").unlink()
    caplog.set_level(logging.WARNING)
    fit(job)
    assert "pointer.json is not there" in caplog.text
    assert resumed_from(job) == 0
    assert results(job) == expected(job)


def test_a_whole_state_is_continued(job: FitJob, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_before(monkeypatch, Trainer, "_run_epoch", 3, job)
    fit(job)
    assert resumed_from(job) == 2
    assert results(job) == expected(job)


@pytest.mark.parametrize("name", ["_write_run", "_run_info"])
def test_a_kill_at_the_end_repeats_no_epoch(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stop_before(monkeypatch, Trainer, name, 1, job)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_run_epoch", lambda self, epoch: pytest.fail("an epoch was run"))
        fit(job)
    assert results(job) == expected(job)


def test_a_kill_after_patience_ended_the_training(
    job: FitJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of an epoch that was not the last one allowed is deleted file by file."""
    recipe = replace(job.spec.recipe, epochs=30, patience=1)
    job = replace(job, spec=replace(job.spec, recipe=recipe))
    delete = StateFolder._delete_all_but

    def killed_at_the_end(self: StateFolder, names: set[str]) -> None:
        unnamed = [folder for folder in self.folder.glob("epoch*") if folder.name not in names]
        if any(name.startswith("epoch") for name in names):
            delete(self, names)
        elif unnamed:
            next(unnamed[0].glob("*model*")).unlink()
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(StateFolder, "_delete_all_but", killed_at_the_end)
        fit(job)
    fit(job)
    assert json.loads((job.out / "run.json").read_text("utf-8"))["epochs_run"] < 30
    assert results(job) == expected(job)


def test_deleted_results_come_back_without_an_epoch_until_they_are_scored(
    job: FitJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake deletes the outputs of a job that was killed before it could be recorded."""
    fit(job)
    written = results(job)
    for name in FILES:
        (job.out / name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_run_epoch", lambda self, epoch: pytest.fail("an epoch was run"))
        fit(job)
    assert results(job) == written
    test = job.samples_dir / "test.jsonl"
    with only_process(job.out):
        evaluate(EvaluateJob(job.out, test, job.out, device="cpu"))
        assert (job.out / "state").exists(), "of a training that goes on"
    pointer = job.out / "state/pointer.json"
    own = pointer.read_text(encoding="utf-8")
    pointer.write_text(own.replace('"guard": "', '"guard": "0'), encoding="utf-8")
    evaluate(EvaluateJob(job.out, test, job.out, device="cpu"))
    assert pointer.exists(), "of another training, which was stopped"
    pointer.write_text(own, encoding="utf-8")
    evaluate(EvaluateJob(job.out, test, job.out, device="cpu"))
    assert not (job.out / "state").exists()
    assert results(job) == written


def test_missing_assets_are_no_finished_training(job: FitJob) -> None:
    asset = job.out / "assets/note.txt"
    fit(job)
    asset.unlink()
    fit(job)
    assert asset.read_text(encoding="utf-8") == "dummy"


def test_a_finished_training_is_not_repeated(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = fit(job)
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_run_epoch", lambda self, epoch: pytest.fail("an epoch was run"))
        again = fit(job)
    assert "is trained already" in caplog.text
    assert {key: again[key] for key in first} == first
    # Another seed, or files that are not what was written, are trained.
    flip(job.out / "model.safetensors")
    fit(job)
    assert results(job) == expected(job)
    fit(replace(job, seed=2))
    assert results(job) != expected(job)


def test_two_trainings_in_one_folder(job: FitJob) -> None:
    with only_process(job.out), pytest.raises(BusyError, match=r"run: another process \(pid \d+"):
        fit(job)
    assert not job.out.exists()
