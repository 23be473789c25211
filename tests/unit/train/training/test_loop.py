"""The training loop: selection, resume, determinism, and what it may open."""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from extract.core.errors import ConfigError, MnerError, StoreError
from extract.tables.samples import read_samples
from tests import forked
from tests.builders.stops import stop_before
from tests.builders.train import dummy_system
from tests.builders.train.dummy_system import write_corpus, write_store
from train.data.examples import ModelOutput
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.accelerator import create_accelerator
from train.training.history import LossSums
from train.training.loop import FitJob, Trainer, fit
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import load_run, read_run_info
from train.training.run_spec import RunSpec, read_run_spec

pytestmark = pytest.mark.usefixtures("dummy")

EPOCHS = 30
RECIPE = Recipe(
    epochs=3, batch_size=5, lr={"default": 0.05}, warmup=0.1, clip=5.0, precision="fp32"
)


@pytest.fixture
def samples_dir(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples")
    return tmp_path / "samples"


def job(samples_dir: Path, out: str, **changes) -> FitJob:
    recipe = dataclasses.replace(RECIPE, **changes.pop("recipe", {}))
    spec = {"run": "r", "system": "dummy", "recipe": recipe, **changes.pop("spec", {})}
    values = {"seed": 1, "device": "cpu", "dataset": "toy", **changes}
    return FitJob(RunSpec(**spec), samples_dir, samples_dir.parent / out, **values)


def lines(folder: Path) -> list[dict]:
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_fit_learns_without_a_test_split_and_writes_a_whole_folder(samples_dir: Path) -> None:
    summary = fit(job(samples_dir, "a", recipe={"epochs": 6, "clip": 0.0, "warmup": 0.0}))
    out = samples_dir.parent / "a"
    assert not (samples_dir / "test.jsonl").exists()
    assert summary["valid_f1"]["mm"] == 100.0
    names = {path.name for path in out.iterdir()}
    wanted = {"model.safetensors", "metrics.jsonl", "run.json", "fit.run.json", "assets", "state"}
    assert names == wanted
    history = lines(out)
    assert [line["epoch"] for line in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["loss"] < history[0]["loss"] / 3
    assert history[0]["parts"]["nll"] == pytest.approx(history[0]["loss"])
    info = read_run_info(out)
    assert (info.run, info.dataset, info.seed, info.entity_types) == ("r", "toy", 1, ["PER", "LOC"])
    assert info.options == {"dim": 8, "dropout": 0.3, "use_image": False, "tie": False}
    best = max(history, key=lambda line: line["score"])
    assert info.best_epoch == best["epoch"] and info.valid_f1 == best["valid_f1"]


def test_run_files_hold_no_path_host_or_time(samples_dir: Path) -> None:
    fit(job(samples_dir, "a"))
    fit(job(samples_dir, "b"))
    first, second = samples_dir.parent / "a", samples_dir.parent / "b"
    for name in ("run.json", "metrics.jsonl", "model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    text = (first / "run.json").read_text(encoding="utf-8")
    assert str(samples_dir.parent) not in text and os.uname().nodename not in text


def test_another_seed_gives_other_weights(samples_dir: Path) -> None:
    fit(job(samples_dir, "a"))
    fit(job(samples_dir, "b", seed=2))
    weights = [samples_dir.parent / run / "model.safetensors" for run in "ab"]
    assert weights[0].read_bytes() != weights[1].read_bytes()


def command(samples_dir: Path, out: str, epochs: int) -> list[str]:
    spec = {
        "run": "r",
        "system": "dummy",
        "recipe": {"epochs": epochs, "batch_size": 5, "lr": {"default": 0.05}},
    }
    path = samples_dir.parent / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    arguments = ["fit", "--spec", path, "--samples-dir", samples_dir, "--seed", "3"]
    arguments += ["--device", "cpu", "--out", samples_dir.parent / out]
    return [*map(str, arguments)]


def test_a_killed_run_resumes_to_the_same_bytes(samples_dir: Path, repo_root: Path) -> None:
    write_corpus(samples_dir, is_distinct=True)
    killed = samples_dir.parent / "killed"
    process = forked.start(
        dummy_system.run_commands,
        command(samples_dir, "killed", EPOCHS),
        output=samples_dir.parent / "said",
        folder=repo_root,
        environment={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        while process.is_alive() and not (killed / "state" / "epoch3").exists():
            time.sleep(0.002)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (killed / "model.safetensors").exists()
    spec = read_run_spec(samples_dir.parent / "spec.json")
    for out in (killed, samples_dir.parent / "whole"):
        fit(FitJob(spec, samples_dir, out, seed=3, device="cpu"))
    resumed = json.loads((killed / "fit.run.json").read_text(encoding="utf-8"))["resumed_from"]
    assert 1 <= resumed < EPOCHS
    for name in ("model.safetensors", "metrics.jsonl", "run.json"):
        whole = samples_dir.parent / "whole" / name
        assert whole.read_bytes() == (killed / name).read_bytes(), name
    assert {path.suffix for path in (killed / "state").iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("recipe", [{}, {"precision": "bf16"}, {"accumulation": 2}, {"ema": 0.9}])
@pytest.mark.parametrize("every", [1, 2])
def test_an_interrupted_run_resumes_exactly(
    samples_dir: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict, every: int
) -> None:
    recipe = {"epochs": 5, **recipe}
    fit(job(samples_dir, "whole", recipe=recipe))
    broken = job(samples_dir, "cut", recipe=recipe, checkpoint_every=every)
    stop_before(monkeypatch, dummy_system.Model, "forward", 18, broken)  # third batch of epoch 4
    cut = samples_dir.parent / "cut"
    assert {path.name for path in cut.iterdir()} == {"state", "metrics.jsonl"}
    fit(broken)
    resumed = json.loads((cut / "fit.run.json").read_text(encoding="utf-8"))["resumed_from"]
    assert resumed == {1: 3, 2: 2}[every]
    for name in ("model.safetensors", "metrics.jsonl", "run.json"):
        whole = samples_dir.parent / "whole" / name
        assert whole.read_bytes() == (cut / name).read_bytes(), name


def test_frozen_weights_stay_and_the_others_learn(samples_dir: Path) -> None:
    frozen = ("table.weight", "norm.*")
    fit(job(samples_dir, "a", recipe={"frozen": frozen, "weight_decay": 0.1}))
    fit(job(samples_dir, "b", recipe={"lr": {"default": 0.0}, "frozen": frozen}))
    assert read_run_info(samples_dir.parent / "a").recipe.frozen == frozen
    trained, initial = (load_run(samples_dir.parent / run)[0].state_dict() for run in "ab")
    same = {name for name, tensor in trained.items() if torch.equal(tensor, initial[name])}
    assert same == {"table.weight", "norm.weight", "norm.bias", "mean"}  # no parameter: the mean


def test_the_average_of_the_weights_is_validated_and_kept(
    samples_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, expected = Trainer._update, {}

    def update(self: Trainer) -> None:
        original(self)
        for name, weight in self.bare_model.named_parameters():
            old = expected.get(name, weight.detach())
            expected[name] = (0.9 * old + 0.1 * weight.detach()).clone()

    monkeypatch.setattr(Trainer, "_update", update)
    fit(job(samples_dir, "a", recipe={"ema": 0.9, "selection": "last"}))
    model, _ = load_run(samples_dir.parent / "a")
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), expected[name], rtol=0, atol=1e-6, msg=name)
    evaluate(
        EvaluateJob(samples_dir.parent / "a", samples_dir / "valid.jsonl", samples_dir / "scores")
    )
    metrics = json.loads((samples_dir / "scores" / "metrics.json").read_text(encoding="utf-8"))
    last = lines(samples_dir.parent / "a")[-1]
    assert metrics["views"]["mm"]["all"]["f1"] == last["valid_f1"]["mm"]


def test_a_state_of_another_spec_is_dropped(
    samples_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("train.training.loop.Trainer.finish", lambda self, started: {})
        fit(job(samples_dir, "a"))
    assert (samples_dir.parent / "a" / "state" / "pointer.json").exists()
    fit(job(samples_dir, "a", seed=2))
    assert "of another spec" in caplog.text
    fit(job(samples_dir, "b", seed=2))
    weights = [samples_dir.parent / run / "model.safetensors" for run in "ab"]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, 2),
        ({"ties": "last"}, 4),
        ({"selection": "last"}, 5),
        ({"patience": 2}, 2),
        ({"selection_view": "text"}, 1),
    ],
)
def test_selection(
    samples_dir: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict, expected: int
) -> None:
    scores = iter([(10.0, 90.0), (60.0, 80.0), (50.0, 70.0), (70.0, 70.0), (40.0, 60.0)])
    monkeypatch.setattr(
        "train.training.loop.Trainer._valid_f1",
        lambda self: dict(zip(("mm", "text"), next(scores), strict=True)),
    )
    summary = fit(job(samples_dir, "a", recipe={"epochs": 5, **recipe}))
    assert summary["best_epoch"] == expected
    assert summary["epochs_run"] == (4 if "patience" in recipe else 5)
    model, info = load_run(samples_dir.parent / "a")
    assert info.best_epoch == expected and not model.training


def test_a_loss_that_is_not_finite_stops_the_run(samples_dir: Path) -> None:
    sums = LossSums()
    loss = torch.tensor(float("nan"))
    sums.add(ModelOutput(loss, torch.zeros(1), torch.ones(1)), 4)
    with pytest.raises(MnerError, match=r"epoch 3: the loss is nan.*recipe\.clip"):
        sums.means(3, create_accelerator("cpu", "fp32"))


def test_loss_means_are_over_samples() -> None:
    sums = LossSums()
    for value, size in ((1.0, 3), (5.0, 1)):
        loss = torch.tensor(value)
        sums.add(ModelOutput(loss, loss, loss, {"nll": loss - 1, "kl": torch.tensor(1.0)}), size)
    means = sums.means(1, create_accelerator("cpu", "fp32"))
    assert means == {"loss": 2.0, "parts": {"nll": 1.0, "kl": 1.0}}


def test_an_accumulated_update_equals_a_large_batch(samples_dir: Path) -> None:
    common = {"epochs": 1, "length_buckets": False, "clip": 0.0}
    options = {"options": {"dropout": 0.0}}
    fit(job(samples_dir, "a", spec=options, recipe={**common, "batch_size": 24}))
    fit(job(samples_dir, "b", spec=options, recipe={**common, "batch_size": 24, "accumulation": 4}))
    weights = [samples_dir.parent / run / "model.safetensors" for run in "ab"]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(("whole", "part", "accumulation"), [(24, 6, 4), (18, 6, 3)])
def test_accumulated_parts_equal_one_batch(samples_dir: Path, whole, part, accumulation) -> None:
    """Four equal parts are their batch; of 18 and 6 samples, the trailing group is one part."""
    # An update that is nearly proportional to the gradient, so that its rounding stays small.
    steady = {"eps": 1.0, "lr": {"default": 1.0}, "warmup": 0.0, "schedule": "constant"}
    common = {**steady, "epochs": 1, "length_buckets": False, "clip": 0.0}
    options = {"options": {"dropout": 0.0}}
    parts = {"batch_size": part, "accumulation": accumulation}
    fit(job(samples_dir, "a", spec=options, recipe={**common, "batch_size": whole}))
    fit(job(samples_dir, "b", spec=options, recipe={**common, **parts}))
    assert len(read_samples(samples_dir / "train.jsonl")) == 24
    one, other = (load_run(samples_dir.parent / run)[0].state_dict() for run in "ab")
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": {"system": "dumy"}}, "Did you mean 'dummy'"),
        ({"spec": {"options": {"drpout": 0.1}}}, r"r\.options.*Did you mean 'dropout'"),
        ({"spec": {"options": {"use_image": True}}}, "dummy needs --store.*grid"),
        ({"stores": {"gird": Path("x.h5")}}, "'gird'.*reads no such role"),
        ({"recipe": {"selection_view": "txt"}}, "Did you mean 'text'"),
        ({"recipe": {"lr": {"encodr": 1.0, "default": 1.0}}}, "Did you mean 'encoder'"),
        ({"recipe": {"lr": {"encoder": 1.0}}}, "no rate for the group 'head'"),
    ],
)
def test_config_errors(samples_dir: Path, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(job(samples_dir, "a", **changes))


@pytest.fixture
def with_images(tmp_path: Path) -> Path:
    corpus = write_corpus(tmp_path / "samples", splits=("train", "valid", "test"))
    ids = [sample.image_id for samples in corpus.values() for sample in samples]
    write_store(tmp_path / "grid.h5", ids, missing=ids[::7])
    write_store(tmp_path / "other.h5", ids, fingerprint="a" * 64)
    return tmp_path


@pytest.mark.parametrize("variant", ["main", "shuffled", "blank"])
def test_fit_and_evaluate_with_a_store(with_images: Path, variant: str) -> None:
    stores = {"grid": with_images / "grid.h5"}
    spec = {"variant": variant, "options": {"use_image": True}, "features": {"grid": "vgg"}}
    fit(job(with_images / "samples", "run", spec=spec, stores=stores))
    run = with_images / "run"
    info = read_run_info(run)
    assert info.fingerprints == {"grid": "f" * 64} and info.features == {"grid": "vgg"}
    test = with_images / "samples" / "test.jsonl"
    train = with_images / "samples" / "train.jsonl"
    evaluate(EvaluateJob(run, test, run, train, stores=stores, device="cpu"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["variant"] == variant and metrics["headline_view"] == "mm"
    assert set(metrics["views"]) == {"mm", "text"}
    slices = metrics["views"]["mm"]
    assert list(slices) == ["all", "picture", "without_handle", "words"]
    assert slices["all"]["n_gold"] == 24 == slices["words"]["n_gold"] + slices["picture"]["n_gold"]
    assert slices["all"]["seen"]["n_gold"] == 24 and slices["all"]["unseen"]["n_gold"] == 0
    assert (run / "predictions.conll").is_file() and (run / "predictions_text.conll").is_file()
    with pytest.raises(StoreError, match="a" * 64 + ".*" + "f" * 64):
        other = {"grid": with_images / "other.h5"}
        evaluate(EvaluateJob(run, test, run, stores=other, device="cpu"))


def test_statistics_survive_resume_and_reload(
    with_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = {"grid": with_images / "grid.h5"}
    spec = {"options": {"use_image": True}}
    with monkeypatch.context() as patch:
        patch.setattr("train.training.loop.Trainer.finish", lambda self, started: {})
        fit(job(with_images / "samples", "run", spec=spec, stores=stores))
    fit(job(with_images / "samples", "run", spec=spec, stores=stores))
    model, _ = load_run(with_images / "run")
    assert model.mean.min() > 1
