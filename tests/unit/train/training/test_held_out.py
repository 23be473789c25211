"""The process that trains cannot open the test split, whatever a system tries."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from extract.core.errors import HeldOutError
from extract.store import FeatureStore
from tests.builders.train import dummy_system
from tests.builders.train.dummy_system import write_corpus, write_store
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.held_out import training_guard
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

RECIPE = Recipe(epochs=1, batch_size=5, lr={"default": 0.05})


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test", "extra"))
    return tmp_path / "samples"


def job(samples: Path, **changes) -> FitJob:
    spec = RunSpec("r", "dummy", recipe=RECIPE, **changes.pop("spec", {}))
    return FitJob(spec, samples, samples.parent / "run", 1, device="cpu", **changes)


def by_symlink(samples: Path) -> Path:
    link = samples.parent / "innocent.txt"
    link.symlink_to(samples / "test.jsonl")
    return link


def by_folder_link(samples: Path) -> Path:
    (samples.parent / "linked").symlink_to(samples)
    return samples.parent / "linked" / "extra.jsonl"


def by_hard_link(samples: Path) -> Path:
    link = samples.parent / "innocent.txt"
    os.link(samples / "test.jsonl", link)
    return link


def elsewhere(name: str):
    def make(samples: Path) -> Path:
        path = samples.parent / "other" / name
        path.parent.mkdir()
        path.write_text("{}", encoding="utf-8")
        return path

    return make


PLACES = {
    "test": lambda samples: samples / "test.jsonl",
    "sibling": lambda samples: samples / "extra.jsonl",
    "relative": lambda samples: Path(os.path.relpath(samples / "test.jsonl")),
    "dotted": lambda samples: samples / ".." / "samples" / "extra.jsonl",
    "bytes": lambda samples: os.fsencode(samples / "extra.jsonl"),
    "symlink": by_symlink,
    "folder link": by_folder_link,
    "hard link": by_hard_link,
    "raw text": elsewhere("test.txt"),
    "predictions": elsewhere("predictions.text.conll"),
    "scores": elsewhere("metrics.json"),
    "diagnosis": elsewhere("best_test.json"),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_held_out_cannot_be_opened_by_any_name(samples: Path, place: str) -> None:
    path = PLACES[place](samples)
    with training_guard(samples):
        with pytest.raises(HeldOutError, match="held out of training"), open(path, "rb"):
            pass
        with pytest.raises(HeldOutError):
            os.open(path, os.O_RDONLY)
        for name in ("train.jsonl", "valid.jsonl"):
            assert (samples / name).read_bytes()
    with open(path, "rb") as file:
        assert file.read()


def test_a_sibling_that_comes_later_is_held_out_too(samples: Path) -> None:
    late = samples / "late.jsonl"
    made = samples.parent / "made"
    made.write_text("late", encoding="utf-8")
    with training_guard(samples):
        made.rename(late)
        with pytest.raises(HeldOutError):
            late.read_text(encoding="utf-8")
    assert late.read_text(encoding="utf-8") == "late"


def test_a_sibling_that_leads_nowhere_holds_nothing_else_out(samples: Path) -> None:
    (samples / "test.jsonl").unlink()
    (samples / "test.jsonl").symlink_to(samples / "nowhere")
    with training_guard(samples):
        (samples.parent / "new").write_text("new", encoding="utf-8")
        with pytest.raises(HeldOutError):
            (samples / "test.jsonl").read_bytes()
    assert (samples.parent / "new").read_text(encoding="utf-8") == "new"


def test_it_cannot_be_renamed_linked_or_handed_to_a_program(samples: Path, tmp_path: Path) -> None:
    test, other = samples / "test.jsonl", tmp_path / "x"
    by_spaced_link = tmp_path / "a link"
    by_spaced_link.symlink_to(test)
    ways = [
        lambda: test.rename(other),
        lambda: os.link(test, other),
        lambda: other.symlink_to(test),
        lambda: subprocess.run(["cat", test], check=False),
        lambda: subprocess.run(f"cat '{test}'", shell=True, check=False),
        lambda: os.system(f"cat {test} > {other}"),
        lambda: subprocess.run(["cat", samples / "extra.jsonl"], check=False),
        lambda: subprocess.run(["cat", "extra.jsonl"], cwd=samples, check=False),
        lambda: subprocess.run(["cat", by_spaced_link], check=False),
        lambda: subprocess.run(f"cat<{samples}/extra.jsonl", shell=True, check=False),
        lambda: os.posix_spawn("/bin/cat", ["cat", os.fsencode(samples / "extra.jsonl")], {}),
    ]
    with training_guard(samples):
        for way in ways:
            with pytest.raises(HeldOutError):
                way()
        subprocess.run([sys.executable, "-c", "pass", samples / "train.jsonl"], check=True)
    assert test.is_file() and not other.exists()


def test_the_guard_ends_with_the_training_that_fails(samples: Path) -> None:
    with pytest.raises(RuntimeError), training_guard(samples):
        raise RuntimeError
    assert (samples / "test.jsonl").read_bytes()


HOOKS = {
    "build_vocabulary": classmethod(lambda cls, *args: peek()),
    "fit_statistics": lambda self, examples: peek(),
    "collate": lambda self, examples: peek(),
    "forward": lambda self, batch: peek(),
    "decode": lambda self, batch, view: peek(),
    "save_assets": lambda self, folder: peek(),
}
PEEKED = {"path": Path()}


def peek():
    return PEEKED["path"].read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_system_that_reads_test_is_stopped(samples: Path, monkeypatch, hook: str) -> None:
    PEEKED["path"] = samples / "test.jsonl"
    monkeypatch.setattr(dummy_system.Model, hook, HOOKS[hook])
    with pytest.raises(HeldOutError, match=r"test\.jsonl: held out of training"):
        fit(job(samples))


def test_processes_that_read_ahead_are_guarded_too(samples: Path, monkeypatch) -> None:
    PEEKED["path"] = samples / "test.jsonl"
    parent, collate = os.getpid(), dummy_system.Model.collate

    def peek_elsewhere(self, examples):
        if os.getpid() != parent:
            peek()
        return collate(self, examples)

    monkeypatch.setattr(dummy_system.Model, "collate", peek_elsewhere)
    with pytest.raises(HeldOutError, match=r"test\.jsonl: held out of training"):
        fit(job(samples, workers=1))


def test_training_asks_the_stores_for_train_and_valid_alone(samples: Path, monkeypatch) -> None:
    corpus = write_corpus(samples, splits=("train", "valid", "test"))
    ids = {split: {sample.image_id for sample in found} for split, found in corpus.items()}
    store = samples.parent / "grid.h5"
    write_store(store, sorted(set.union(*ids.values())))
    asked, item = set(), FeatureStore.item

    def recorded(self, item_id):
        asked.add(item_id)
        return item(self, item_id)

    monkeypatch.setattr(FeatureStore, "item", recorded)
    for variant in ("main", "shuffled"):
        asked.clear()
        spec = {"variant": variant, "options": {"use_image": True}}
        fit(dataclasses.replace(job(samples, spec=spec), stores={"grid": store}))
        assert asked == ids["train"] | ids["valid"]
    run = samples.parent / "run"
    evaluate(EvaluateJob(run, samples / "test.jsonl", run, stores={"grid": store}, device="cpu"))
    assert asked == set.union(*ids.values())
