"""Training that starts from another run: its weights, what must fit, and resume."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, MissingFileError
from tests.builders.train import dummy_system
from tests.builders.train.dummy_system import make_samples, write_corpus, write_store
from train.__main__ import main
from train.training.initial_run import check_initial_run
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import read_run_info
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

STILL = {"lr": {"default": 0.0}}
"""Weights stay where they start."""


@pytest.fixture
def samples_dir(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples")
    return tmp_path / "samples"


def job(samples_dir: Path, out: str, *, options=None, recipe=None, **changes) -> FitJob:
    chosen = Recipe(**{"epochs": 2, "batch_size": 5, "lr": {"default": 0.05}, **(recipe or {})})
    spec = RunSpec(run="r", system="dummy", options=options or {}, recipe=chosen)
    values = {"seed": 1, "device": "cpu", **changes}
    return FitJob(spec, samples_dir, samples_dir.parent / out, **values)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_it_starts_from_the_other_run(samples_dir: Path):
    fit(job(samples_dir, "first"))
    first = samples_dir.parent / "first"
    fit(job(samples_dir, "second", init_from=first, seed=2, recipe=STILL))
    second = samples_dir.parent / "second"
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    fit(job(samples_dir, "alone", seed=2, recipe=STILL))
    alone = weights(samples_dir.parent / "alone")
    assert any(not torch.equal(tensor, alone[name]) for name, tensor in weights(first).items())
    sums = {"init_from": {"model.safetensors": file_sha256(first / "model.safetensors")}}
    assert read_run_info(second).weights_sha256 == sums
    assert read_run_info(samples_dir.parent / "alone").weights_sha256 == {}


def test_statistics_come_along(samples_dir: Path):
    samples = [s for split in ("train", "valid") for s in make_samples(split, 24)]
    ids = [sample.image_id for sample in samples]
    for name, order in (("up", ids), ("down", ids[::-1])):
        write_store(samples_dir.parent / f"{name}.h5", order)
    options = {"use_image": True}
    up, down = ({"grid": samples_dir.parent / f"{name}.h5"} for name in ("up", "down"))
    fit(job(samples_dir, "first", options=options, stores=up))
    first = samples_dir.parent / "first"
    fit(job(samples_dir, "second", options=options, stores=down, init_from=first))
    fit(job(samples_dir, "alone", options=options, stores=down))
    means = [weights(samples_dir.parent / run)["mean"] for run in ("first", "second", "alone")]
    assert torch.equal(means[0], means[1]) and not torch.equal(means[0], means[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "text_crf"}, "a run of text_crf, expected one of dummy"),
        ({"model_version": 7}, "version 7 of dummy, this is 1"),
        ({"options": {"dim": 9}}, "dim differs: expected 8, that run has 9"),
        (
            {"vocabulary": {"entity_types": ["LOC", "PER"], "words": []}},
            r"entity_types differs: expected \['PER', 'LOC'\], that run has \['LOC', 'PER'\]",
        ),
        ({"vocabulary": {"entity_types": ["PER", "LOC"], "words": ["a"]}}, "words differs"),
    ],
    ids=["system", "version", "options", "tags", "vocabulary"],
)
def test_what_does_not_fit_is_an_error(samples_dir: Path, change, message):
    fit(job(samples_dir, "first"))
    first = samples_dir.parent / "first"
    info = dataclasses.asdict(read_run_info(first))
    (first / "run.json").write_text(json.dumps({**info, **change}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        fit(job(samples_dir, "second", init_from=first))
    assert not (samples_dir.parent / "second").exists()


def test_another_tokenizer_is_an_error(samples_dir: Path):
    fit(job(samples_dir, "first"))
    first = samples_dir.parent / "first"
    info = dataclasses.asdict(read_run_info(first))
    sums = {"encoder": {"tokenizer.json": "a", "model.safetensors": "b"}}
    (first / "run.json").write_text(json.dumps({**info, "weights_sha256": sums}), encoding="utf-8")
    others = {"encoder": {"tokenizer.json": "a", "model.safetensors": "c", "vocab.txt": "d"}}
    given = "dummy", dummy_system.Options(), info["vocabulary"]
    check_initial_run(first, *given, others)
    others["encoder"]["tokenizer.json"] = "e"
    with pytest.raises(ConfigError, match=r"encoder: its tokenizer\.json is not that of the run"):
        check_initial_run(first, *given, others)


def test_no_run_there(samples_dir: Path):
    with pytest.raises(MissingFileError, match=r"run\.json"):
        fit(job(samples_dir, "second", init_from=samples_dir))


def test_resume_notices_other_initial_weights(samples_dir: Path, monkeypatch, caplog):
    for seed, name in ((1, "first"), (2, "other")):
        fit(job(samples_dir, name, seed=seed))
    first, other = (samples_dir.parent / name for name in ("first", "other"))
    fit(job(samples_dir, "whole", init_from=first))

    def killed(self, started):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("train.training.loop.Trainer.finish", killed)
        for out in ("same", "changed"):
            with pytest.raises(KeyboardInterrupt):
                fit(job(samples_dir, out, init_from=first))
    caplog.set_level("INFO")
    fit(job(samples_dir, "same", init_from=first))
    assert "resumed after epoch 1" in caplog.text
    whole, same = (samples_dir.parent / name / "model.safetensors" for name in ("whole", "same"))
    assert whole.read_bytes() == same.read_bytes()
    caplog.clear()
    fit(job(samples_dir, "changed", init_from=other))
    assert "training starts anew" in caplog.text and "resumed" not in caplog.text


def test_command_line(samples_dir: Path):
    write_corpus(samples_dir, is_distinct=True)
    fit(job(samples_dir, "first"))
    first, second = (samples_dir.parent / name for name in ("first", "second"))
    spec = {"run": "r", "system": "dummy", "recipe": {"epochs": 1, **STILL}}
    (samples_dir.parent / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    arguments = ["--spec", samples_dir.parent / "spec.json", "--samples-dir", samples_dir]
    arguments += ["--seed", 3, "--out", second, "--init-from", first, "--device", "cpu"]
    assert main(["fit", *map(str, arguments)]) == 0
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
