"""Training on several processes: the data order contract, one writer, resume."""

import json
import time
from pathlib import Path

import pytest
import torch

from extract.core.errors import ConfigError
from tests.builders.train.dummy_system import write_corpus
from tests.builders.train.process_group import ProcessGroup
from train.__main__ import main
from train.data.examples import ModelOutput
from train.training.accelerator import create_accelerator
from train.training.history import LossSums
from train.training.run_folder.checkpoint import load_run, read_run_info

pytestmark = pytest.mark.usefixtures("dummy")

# 27 tweets in batches of 6 are 5 batches: the last update has none for the second process.
# An update that is nearly proportional to the gradient, so that its rounding stays small.
RECIPE = {
    **{"epochs": 3, "batch_size": 6, "eps": 1.0, "lr": {"default": 1.0}},
    **{"warmup": 0.0, "schedule": "constant", "clip": 5.0},
}
RECIPES = {"plain": {}, "average": {"ema": 0.9}, "bf16": {"precision": "bf16"}}
SPLITS = ("train", "valid", "test")
TOLERANCE = {"plain": 1e-5, "average": 1e-5, "bf16": 1e-2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples", splits=SPLITS, count=27, is_distinct=True)
    return tmp_path


def fit(folder: Path, out: str, **recipe) -> list[str]:
    """Return the arguments of a `fit` whose dropout is off, for draws differ by process."""
    spec = {"run": "r", "system": "dummy", "options": {"dropout": 0.0}}
    path = folder / f"{out}.json"
    path.write_text(json.dumps({**spec, "recipe": {**RECIPE, **recipe}}), encoding="utf-8")
    given = {"spec": path, "samples-dir": folder / "samples", "seed": 3}
    return ["fit", *_flags(given), "--device", "auto", "--out", str(folder / out)]


def score(folder: Path, command: str, run: str, out: str) -> list[str]:
    given = {"run": folder / run, "samples": folder / "samples/test.jsonl", "out": folder / out}
    return [command, *_flags(given), "--device", "cpu"]


def _flags(given: dict) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def test_two_processes_train_score_and_tag_as_one(folder: Path) -> None:
    fits = [fit(folder, f"{name}2", **recipe) for name, recipe in RECIPES.items()]
    scoring = [score(folder, command, "plain2", f"{command}2") for command in SCORING]
    said = ProcessGroup([*fits, *scoring]).wait()
    for name, recipe in RECIPES.items():
        assert main(fit(folder, f"{name}1", **recipe, accumulation=2)) == 0
        one, two = folder / f"{name}1", folder / f"{name}2"
        weights = [load_run(run)[0].state_dict() for run in (one, two)]
        for key, tensor in weights[0].items():
            torch.testing.assert_close(tensor, weights[1][key], atol=TOLERANCE[name], rtol=0)
        lines = [(run / "metrics.jsonl").read_text("utf-8").splitlines() for run in (one, two)]
        assert len(lines[0]) == len(lines[1]) == RECIPE["epochs"], "one writer, a line an epoch"
        losses = [[json.loads(line)["loss"] for line in run] for run in lines]
        assert losses[0] == pytest.approx(losses[1], abs=TOLERANCE[name])
        assert [read_run_info(run).processes for run in (one, two)] == [1, 2]
        # The state goes when a run has been scored, as one of them has.
        names = [{path.name for path in run.iterdir()} - {"state"} for run in (one, two)]
        assert names[0] == names[1]
    for command, file in SCORING.items():
        assert main(score(folder, command, "plain2", f"{command}1")) == 0
        one, two = folder / f"{command}1" / file, folder / f"{command}2" / file
        assert one.read_bytes() == two.read_bytes()
    assert "epoch 3/3" in said[0] and "epoch 3/3" not in said[1], "the first speaks for all"


SCORING = {"evaluate": "metrics.json", "predict": "predictions.jsonl"}


@pytest.mark.slow
def test_killed_processes_resume_to_the_same_bytes(folder: Path) -> None:
    recipe = {"epochs": 40, "eps": 1e-6, "lr": {"default": 0.05}}
    killed = ProcessGroup([fit(folder, "killed", **recipe)])
    try:
        while killed.processes[0].is_alive() and not (folder / "killed/state/epoch3").exists():
            time.sleep(0.002)
    finally:
        killed.kill()
    assert not (folder / "killed" / "model.safetensors").exists()
    ProcessGroup([fit(folder, "killed", **recipe), fit(folder, "whole", **recipe)]).wait()
    resumed = json.loads((folder / "killed/fit.run.json").read_text("utf-8"))["resumed_from"]
    assert 1 <= resumed < recipe["epochs"]
    for name in ("model.safetensors", "metrics.jsonl", "run.json"):
        whole = folder / "whole" / name
        assert whole.read_bytes() == (folder / "killed" / name).read_bytes(), name


def test_processes_that_do_not_see_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.training.accelerator.launched_processes", lambda: 2)
    with pytest.raises(ConfigError, match=r"2 processes were started.*each sees 1"):
        create_accelerator("cpu", "fp32")


def test_loss_means_weigh_the_processes_by_their_samples() -> None:
    class TwoProcesses:
        """This process saw 2 samples of loss 5; the other, 3 of loss 1."""

        device = torch.device("cpu")

        def reduce(self, tensor: torch.Tensor, how: str) -> torch.Tensor:
            assert how == "sum"
            return tensor + 3

    sums = LossSums()
    sums.add(ModelOutput(torch.tensor(5.0), torch.zeros(1), torch.ones(1)), 2)
    assert sums.means(1, TwoProcesses()) == {"loss": pytest.approx(2.6), "parts": {}}
