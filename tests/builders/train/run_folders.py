"""Folders as `fit` and `evaluate` leave them, with predictions of a chosen skill."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from extract.tables.samples import Sample
from tests.builders.train.dummy_system import make_samples
from train.measures.metrics import score_slices
from train.measures.predictions import predictions_name, write_predictions

SAMPLES = make_samples("test", 40)


def noisy(skill: float, seed: object) -> list[list[str]]:
    """Return the gold tags, each entity kept with probability `skill`."""
    rng = random.Random(str(seed))
    return [
        [tag if tag == "O" or rng.random() < skill else "O" for tag in sample.tags]
        for sample in SAMPLES
    ]


def write_run(
    root: Path,
    system: str,
    variant: str = "main",
    seed: int = 1,
    *,
    skill: float = 0.8,
    views: Sequence[str] = ("main",),
    run: str = "",
    samples: Sequence[Sample] = SAMPLES,
) -> Path:
    """Write what `fit` and `evaluate` leave behind; return the path of metrics.json."""
    run = run or (system if variant == "main" else f"{system}-{variant}")
    folder = root / run / f"seed{seed}"
    folder.mkdir(parents=True)
    tags = {view: noisy(skill, (run, seed, view)) for view in views}
    for view, pred in tags.items():
        write_predictions(folder / predictions_name(view, views), samples, pred)
    metrics = {
        "dataset": "toy",
        "run": run,
        "system": system,
        "variant": variant,
        "seed": seed,
        "headline_view": views[0],
        "views": {view: score_slices(samples, pred) for view, pred in tags.items()},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, sort_keys=True), encoding="utf-8")
    lines = [{"epoch": epoch, "loss": 1.0 / epoch, "score": 10.0 * epoch} for epoch in (1, 2)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder / "metrics.json"
