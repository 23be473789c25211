"""Two golds: which one trains and selects, and both scored side by side."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from extract.core.errors import ConfigError, DataError
from extract.core.options import options_from
from extract.tables.samples import Sample, write_samples
from tests.builders.train.dummy_system import write_corpus
from train.data.examples import read_training, without_tags
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.measures.metrics import score_slices
from train.measures.predictions import read_predictions
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

TRAIN = [
    Sample(
        "train-0", "a", ["J", ".", "Cole"], ["O", "O", "I-PER"], None, ["B-PER"] + ["I-PER"] * 2
    ),
    Sample("train-1", "b", ["Rome"], ["B-LOC"]),
]
VALID = [Sample("valid-0", "c", ["x"], ["O"])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_samples(tmp_path / "train.jsonl", TRAIN)
    write_samples(tmp_path / "valid.jsonl", VALID)
    return tmp_path


def test_the_original_gold_is_the_default(folder: Path) -> None:
    assert Recipe().gold == "original"
    assert read_training(folder, Recipe().gold) == (TRAIN, VALID)
    with pytest.raises(ConfigError, match="Did you mean 'repaired'"):
        options_from(Recipe, {"gold": "repared"}, "recipe")


def test_the_repaired_gold_takes_the_place_of_the_tags(folder: Path) -> None:
    train, valid = read_training(folder, "repaired")
    assert [s.tags for s in train] == [["B-PER", "I-PER", "I-PER"], ["B-LOC"]]
    assert valid == VALID
    assert all(s.repaired_tags is None for s in train)


def test_the_repaired_gold_of_a_corpus_without_repairs_is_an_error(folder: Path) -> None:
    write_samples(folder / "train.jsonl", TRAIN[1:])
    with pytest.raises(DataError, match="Set `repairs` of the dataset"):
        read_training(folder, "repaired")


def test_models_see_neither_gold_at_prediction_time() -> None:
    assert {(s.tags, s.repaired_tags is None) for s in without_tags(TRAIN)} == {(None, True)}


def write_repaired(folder: Path) -> dict[str, list[Sample]]:
    """Write a toy corpus whose repaired gold calls every entity a place."""
    corpus = write_corpus(folder, splits=("train", "valid", "test"))
    for split, samples in corpus.items():
        other = [
            replace(s, repaired_tags=[t.replace("PER", "LOC") for t in s.tags])
            if any(t.endswith("PER") for t in s.tags)
            else s
            for s in samples
        ]
        corpus[split] = other
        write_samples(folder / f"{split}.jsonl", other)
    return corpus


def fit_and_score(folder: Path, gold: str) -> tuple[dict, Path]:
    recipe = Recipe(epochs=12, batch_size=4, lr={"default": 0.05}, gold=gold)
    samples, out = folder / "samples", folder / gold
    fit(FitJob(RunSpec(gold, "dummy", recipe=recipe), samples, out, seed=1, device="cpu"))
    train = samples / "train.jsonl"
    evaluate(EvaluateJob(out, samples / "test.jsonl", out, train_samples=train, device="cpu"))
    return json.loads((out / "metrics.json").read_text(encoding="utf-8")), out


def test_both_golds_are_scored_and_the_recipe_says_which_trains(tmp_path: Path) -> None:
    test = write_repaired(tmp_path / "samples")["test"]
    n_changed = sum(s.repaired_tags is not None for s in test)
    assert 0 < n_changed < len(test)
    scores = {gold: fit_and_score(tmp_path, gold) for gold in ("original", "repaired")}
    for metrics, out in scores.values():
        assert metrics["repaired"].keys() == metrics["views"].keys()
        view = metrics["headline_view"]
        assert metrics["repaired"][view].keys() == metrics["views"][view].keys()
        # Each gold knows the mentions of its own training split.
        seen = [metrics[gold][view]["all"]["seen"]["n_gold"] for gold in ("views", "repaired")]
        assert seen[0] == seen[1] > 0
        # The same predictions, scored by hand against either gold.
        pred = [text.pred for text in read_predictions(out / "predictions.conll")]
        expected = [replace(s, tags=s.repaired_tags or s.tags) for s in test]
        by_hand = score_slices(expected, pred)["all"]
        assert metrics["repaired"][view]["all"]["f1"] == pytest.approx(by_hand["f1"])
        by_hand = score_slices(test, pred)["all"]
        assert metrics["views"][view]["all"]["f1"] == pytest.approx(by_hand["f1"])
    of_original, of_repaired = (
        {key: metrics[key][metrics["headline_view"]]["all"]["f1"] for key in ("views", "repaired")}
        for metrics, _ in scores.values()
    )
    assert of_original["views"] > of_original["repaired"] + 20
    assert of_repaired["repaired"] > of_repaired["views"] + 20


def test_without_repairs_there_is_no_second_block(tmp_path: Path) -> None:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"))
    metrics, _ = fit_and_score(tmp_path, "original")
    assert "repaired" not in metrics
