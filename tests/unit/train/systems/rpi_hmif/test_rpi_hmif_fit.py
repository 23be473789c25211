"""RPI-HMIF through the real loop: pixel stores in, a run folder, metrics and predictions out."""

import dataclasses
import json

import numpy as np
import pytest
from transformers import CLIPVisionConfig, CLIPVisionModel

from extract.store import FeatureWriter, Header
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from tests.builders.train.dummy_system import write_corpus
from tests.builders.train.published_recipes import published_recipe
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.loop import FitJob, fit
from train.training.run_spec import RunSpec

SIDES = {"image": (32, 1), "crops": (16, 3), "detector_crops": (8, 3)}
OPTIONS = {
    "crop_px": 16,
    "detector_crop_px": 8,
    "max_pieces": 24,
    "question": {"text": "see the man", "max_pieces": 60},
}


def write_pixels(path, ids, side, n_rows):
    """Write a store of random pictures; the first id has none."""
    header = Header(
        "f" * 64,
        Outputs(feature_dim=side * side * 3, feature_dtype="uint8", item_shape=(side, side, 3)),
        tuple(ids),
        ("0" * 64,) * len(ids),
        np.full((len(ids), 2), side, np.int32),
    )
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 256, (len(ids), n_rows, side * side * 3), dtype=np.uint8)
    items = [ItemFeatures(features=r) for r in rows]
    items[0] = ItemFeatures(features=rows[0][:0], status=STATUS["missing"], reason="gone")
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    writer.append(items)
    writer.finish(path, {})


@pytest.mark.parametrize("variant", ["main", "blank"])
def test_fit_and_evaluate(tmp_path, tiny_encoder, variant):
    corpus = write_corpus(tmp_path / "samples", splits=("train", "valid", "test"), count=8)
    ids = [sample.image_id for samples in corpus.values() for sample in samples]
    stores = {role: tmp_path / f"{role}.h5" for role in SIDES}
    for role, path in stores.items():
        write_pixels(path, ids, *SIDES[role])
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPVisionConfig(**sizes, intermediate_size=64, image_size=32, patch_size=8)
    CLIPVisionModel(config).save_pretrained(tmp_path / "clip")
    recipe = dataclasses.replace(published_recipe("rpi_hmif"), epochs=2, batch_size=4)
    spec = RunSpec("rpi", "rpi_hmif", variant, options=OPTIONS, recipe=recipe)
    weights = {"encoder": tiny_encoder("bert"), "vision": tmp_path / "clip"}
    run = tmp_path / "run"
    samples = tmp_path / "samples"
    fit(FitJob(spec, samples, run, 1, stores=stores, weights=weights, device="cpu"))
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and set(json.loads(lines[0])["lr"]) == set(recipe.lr)
    evaluate(EvaluateJob(run, samples / "test.jsonl", run, stores=stores, device="cpu"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["views"]["main"]["all"]["n_gold"] == 8
