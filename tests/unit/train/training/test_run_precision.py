"""A run's precision: settled when its spec is made, kept by its states, shown with its scores."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extract.core.errors import ConfigError
from extract.networks import precision
from tests.builders.processors import AVX2
from tests.builders.stops import stop_before
from tests.builders.train.dummy_system import write_corpus
from train.__main__ import main
from train.comparing.intervals import interval_rows
from train.comparing.results import read_results
from train.comparing.results_page import render_results
from train.comparing.results_table import result_rows
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.loop import FitJob, Trainer, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

DEFINITION = {"run": "r", "system": "text_crf", "weights": {"encoder": {"name": "minilm"}}}


@pytest.fixture
def job(tmp_path: Path) -> FitJob:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"))
    spec = RunSpec(run="r", system="dummy", recipe=Recipe(epochs=3, lr={"default": 0.05}))
    return FitJob(spec, tmp_path / "samples", tmp_path / "run", seed=1, device="cpu")


def in_precision(job: FitJob, value: str, **changes: object) -> FitJob:
    recipe = replace(job.spec.recipe, precision=value, **changes)
    return replace(job, spec=replace(job.spec, recipe=recipe))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Make this machine one that is faster in bfloat16, or slower."""
    return lambda has: monkeypatch.setattr(precision, "prefers_bfloat16", lambda device: has)


@pytest.mark.parametrize(("is_faster", "expected"), [(True, "bf16"), (False, "fp32")])
def test_the_spec_holds_what_auto_means_here(tmp_path, machine, is_faster, expected):
    machine(is_faster)
    out = tmp_path / "spec.json"
    assert main(["spec", "--definition", json.dumps(DEFINITION), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["recipe"]["precision"] == expected


def test_a_gpu_that_is_elsewhere_settles_it_there(tmp_path, machine):
    machine(True)
    out = tmp_path / "spec.json"
    arguments = ["spec", "--definition", json.dumps(DEFINITION), "--device", "cuda"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert json.loads(out.read_text())["recipe"]["precision"] == "auto"


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize(("is_faster", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_settled_by_training_too(job, machine, is_faster, expected):
    machine(is_faster)
    fit(job)
    assert json.loads((job.out / "run.json").read_text())["recipe"]["precision"] == expected


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize(("begun", "then"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_a_run_does_not_change_its_precision_on_the_way(job, machine, monkeypatch, begun, then):
    machine(begun == "bf16")
    stop_before(monkeypatch, Trainer, "_valid_f1", 3, job)
    machine(then == "bf16")
    with pytest.raises(ConfigError, match=f"begun in {begun}.* in {then}.*Set recipe.precision"):
        fit(job)
    fit(in_precision(job, begun))
    assert json.loads((job.out / "fit.run.json").read_text())["resumed_from"] == 2
    with pytest.raises(ConfigError, match=f"begun in {begun}"):
        fit(job)


@pytest.mark.usefixtures("dummy")
def test_another_recipe_is_another_training_in_any_precision(job, monkeypatch):
    stop_before(monkeypatch, Trainer, "_valid_f1", 3, in_precision(job, "bf16"))
    fit(in_precision(job, "fp32", epochs=2))
    assert json.loads((job.out / "fit.run.json").read_text())["resumed_from"] == 0


@pytest.mark.usefixtures("dummy")
def test_the_results_page_names_the_precision(job, tmp_path):
    for value in ("fp32", "bf16"):
        mine = replace(in_precision(job, value), out=tmp_path / value, dataset="d")
        mine = replace(mine, seed={"fp32": 1, "bf16": 2}[value])
        fit(mine)
        evaluate(EvaluateJob(mine.out, job.samples_dir / "test.jsonl", mine.out, device="cpu"))
    groups = read_results([tmp_path / value / "metrics.json" for value in ("fp32", "bf16")])
    rows = result_rows(groups, interval_rows(groups, 50))
    assert {row.computed_in for row in rows if row.variant == "main"} == {"fp32, bf16"}
    assert "computed in" in render_results(rows) and "fp32, bf16" in render_results(rows)


def test_a_training_on_an_avx2_processor_is_in_float32(tmp_path):
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"), is_distinct=True)
    spec = {"run": "r", "system": "dummy", "recipe": {"epochs": 2, "lr": {"default": 0.05}}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    code = "import sys; from tests.builders.train.dummy_system import run_commands as run\n"
    code += "sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "fit", "--max-overlap", "1"]
    for flag, name in (("spec", "spec.json"), ("samples-dir", "samples"), ("out", "run")):
        command += [f"--{flag}", str(tmp_path / name)]
    done = subprocess.run(
        [*command, "--seed", "1", "--device", "cpu"],
        env={**os.environ, **AVX2},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["recipe"]["precision"] == "fp32" and "bfloat16 is slow" not in done.stderr
