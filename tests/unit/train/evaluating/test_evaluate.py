"""metrics.json of a run: image slices, kinds of mentions, both golds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from extract.tables.images_table import ImageRow, write_images
from extract.tables.samples import write_samples
from tests.builders.train.dummy_system import write_corpus
from train.__main__ import main

pytestmark = pytest.mark.usefixtures("dummy")

BAD = {"test_0.jpg": "missing", "test_1.jpg": "unreadable"}


def test_evaluate_scores_every_slice(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    corpus = write_corpus(folder, splits=("train", "valid", "test"), is_distinct=True)
    test = [replace(corpus["test"][0], tokens=["we", "saw", "@Ann", "test"]), *corpus["test"][1:]]
    write_samples(folder / "test.jsonl", test)
    rows = [ImageRow(s.image_id, "", "", 0, 0, BAD.get(s.image_id, "ok")) for s in test]
    write_images(tmp_path / "images.tsv", rows)
    recipe = {"epochs": 1, "lr": {"default": 0.05}}
    spec = {"run": "r", "system": "dummy", "recipe": recipe}
    (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    common = ["--device", "cpu", "--out", str(tmp_path / "r")]
    fit = ["--spec", tmp_path / "spec.json", "--samples-dir", folder, "--seed", "1"]
    assert main(["fit", *map(str, fit), *common]) == 0
    evaluate = ["--run", tmp_path / "r", "--samples", folder / "test.jsonl"]
    evaluate += ["--train-samples", folder / "train.jsonl", "--images", tmp_path / "images.tsv"]
    assert main(["evaluate", *map(str, evaluate), *common]) == 0
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text(encoding="utf-8"))
    for view in ("mm", "text"):
        slices = metrics["views"][view]
        sizes = {name: scores["n_samples"] for name, scores in slices.items()}
        kinds = {"words": 12, "picture": 12}
        images = {"with_image": 22, "without_image": 2}
        handles = {"with_handle": 1, "without_handle": 23}
        assert sizes == {"all": 24, **kinds, **images, **handles}
        whole = slices["all"]
        assert whole["handles"]["n_gold"] == 1
        assert whole["seen"]["n_gold"] + whole["unseen"]["n_gold"] == whole["n_gold"]
        for kind in ("precision", "recall", "f1"):
            assert 0 <= whole[f"strict_{kind}"] <= 100
        parts = [slices[name] for name in ("with_image", "without_image")]
        for key in ("n_gold", "n_pred", "n_correct"):
            assert sum(part[key] for part in parts) == whole[key]
