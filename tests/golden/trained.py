"""What the systems of `train` and the sample's towers learn from a few tweets and pictures."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from extract.sample.towers.training import train_tower
from extract.store import FeatureWriter, Header
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.hub.families import FAMILIES
from tests.builders.train import dummy_system
from tests.builders.train.small_systems import SYSTEMS, write_store
from tests.golden.summaries import of_array
from train.evaluating.evaluate import EvaluateJob, evaluate
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

# Everything of the loop that is not off: several updates, warm-up, clipping, decay, an average.
RECIPE = Recipe(
    epochs=3,
    batch_size=2,
    eval_batch_size=3,
    accumulation=2,
    lr={"default": 5e-3},
    weight_decay=0.1,
    warmup=0.2,
    clip=1.0,
    ema=0.5,
    precision="fp32",
)
ACN = {
    "word_dim": 12,
    "char_dim": 6,
    "filters": 5,
    "char_hidden": 10,
    "char_output": 7,
    "lstm_hidden": 8,
    "image_dim": 9,
    "regions": 4,
}


class Trained:
    """The values of systems and towers, computed in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._checkpoint = cache(self._lay)

    def _lay(self, family: str) -> Path:
        folder = self._root / "hub" / family
        FAMILIES[family](folder)
        return folder

    def system(self, name: str) -> Any:
        """Return the course of a short training, its weights, and the tags of held-out text."""
        folder = self._root / name
        corpus = dummy_system.write_corpus(
            folder / "samples", splits=("train", "valid", "test"), count=6, is_distinct=True
        )
        ids = [sample.image_id for samples in corpus.values() for sample in samples]
        if name == "acn":
            roles, options, stores = {}, ACN, {"grid": _write_grids(folder / "grid.h5", ids)}
        else:
            _, roles, pictures, options = next(c for c in SYSTEMS.values() if c[0] == name)
            stores = {
                role: write_store(folder / f"{role}.h5", ids, side)
                for role, side in pictures.items()
            }
        spec = RunSpec(run="r", system=name, options=options, recipe=RECIPE)
        weights = {role: self._checkpoint(family) for role, family in roles.items()}
        samples, run = folder / "samples", folder / "run"
        fit(FitJob(spec, samples, run, 1, stores=stores, weights=weights, device="cpu"))
        test = samples / "test.jsonl"
        evaluate(EvaluateJob(run, test, folder / "test", stores=stores, device="cpu"))
        history = (run / "metrics.jsonl").read_text().splitlines()
        tags = {path.name: path.read_text() for path in sorted((folder / "test").glob("*.conll"))}
        return {
            "history": [json.loads(line) for line in history],
            "weights": _of_weights(run / "model.safetensors"),
            "tags": tags,
        }

    def tower(self, architecture: str) -> Any:
        """Return the mean size of each matrix of a tower that learned a few drawings.

        Processors round differently, and a training without warm-up makes much of it: single
        numbers and biases differ, the mean size of a matrix does not.
        """
        folder = self._root / f"tower-{architecture}"
        train_tower(
            folder, architecture, seed=1, n_images=100, epochs=1, threads=1, precision="fp32"
        )
        tensors = load_file(folder / "model.safetensors")
        matrices = {name: tensor for name, tensor in sorted(tensors.items()) if tensor.ndim > 1}
        return {name: round(float(abs(tensor).mean()), 6) for name, tensor in matrices.items()}


def _of_weights(path: Path) -> dict[str, Any]:
    tensors = load_file(path)
    flat = [tensors[name].astype(np.float64).ravel() for name in sorted(tensors)]
    return of_array(np.concatenate(flat))


def _write_grids(path: Path, ids: list[str]) -> Path:
    sizes = np.full((len(ids), 2), 32, np.int32)
    outputs = Outputs(ACN["image_dim"], grid=(2, 2))
    header = Header("f" * 64, outputs, tuple(ids), ("0" * 64,) * len(ids), sizes)
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    grids = np.random.default_rng(3).random((len(ids), 4, ACN["image_dim"])).astype(np.float16)
    writer.append([ItemFeatures(features=grid) for grid in grids])
    writer.finish(path, {})
    return path
