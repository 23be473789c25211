"""A finished run on a tagged split: metrics.json and the predictions of every view."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extract.core.files import write_json
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.tables.samples import Sample
from train.data.examples import FeatureSource, read_tagged, with_repaired_gold, without_tags
from train.measures.inference import Tags, predict_tags
from train.measures.mentions import mentions
from train.measures.metrics import score_slices
from train.measures.predictions import predictions_name, write_predictions
from train.measures.slices import ALL, usable_images
from train.training.accelerator import create_accelerator, seed_all, used_resources
from train.training.resume import forget_finished
from train.training.run_folder.checkpoint import RunInfo, frozen_checkpoint, load_run
from train.training.run_spec import check_roles

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateJob:
    """What one `evaluate` is asked to do."""

    run: Path
    """Folder of a finished run."""
    samples: Path
    """Tagged samples, e.g. test.jsonl."""
    out: Path
    train_samples: Path | None = None
    """Training samples, to tell seen from unseen mentions."""
    images: Path | None = None
    """images.tsv, to score tweets with and without a usable image apart."""
    stores: dict[str, Path] = field(default_factory=dict)
    """Role -> feature store."""
    device: str = "auto"
    workers: int = 0


def evaluate(job: EvaluateJob) -> dict[str, Any]:
    """Tag a split with a run, in every view, and score it.

    Returns:
        What the last log line says: F1 by view, number of samples, seconds.

    Raises:
        MnerError: missing or unfitting inputs.
    """
    started = time.monotonic()
    frozen = frozen_checkpoint(job.run)
    model, info = load_run(job.run)
    options = options_from(load_module("train.systems", info.system).Options, info.options, "run")
    check_roles(info.system, model.required_features(options), job.stores)
    samples = read_tagged(job.samples)
    train = read_tagged(job.train_samples) if job.train_samples else None
    usable = usable_images(job.images) if job.images else None
    accelerator = create_accelerator(job.device, info.recipe.precision)
    seed_all(info.seed)
    model.to(accelerator.device)
    with FeatureSource(job.stores, info.variant) as source:
        source.check_fingerprints(info.fingerprints)
        tags = predict_tags(
            model,
            source.join(without_tags(samples)),
            batch_size=info.recipe.eval_batch_size,
            accelerator=accelerator,
            workers=job.workers,
        )
    metrics = describe(info, samples, tags, train, usable)
    metrics |= {"trained_views": model.trained_views(options), "checkpoint": frozen}
    if accelerator.is_main_process:
        for view, predicted in tags.items():
            path = job.out / predictions_name(view, model.views)
            write_predictions(path, samples, predicted)
        write_json(job.out / "metrics.json", metrics)
        forget_finished(job.run)
    return {
        "run": info.run,
        "seed": info.seed,
        "f1": {view: slices[ALL]["f1"] for view, slices in metrics["views"].items()},
        "n_samples": len(samples),
        "seconds": round(time.monotonic() - started, 1),
        **used_resources(accelerator),
    }


def describe(
    info: RunInfo,
    samples: Sequence[Sample],
    tags: dict[str, Tags],
    train: Sequence[Sample] | None,
    usable: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return the content of metrics.json.

    `views` are scores against the original gold; `repaired`, where label corrections change a
    sample, the same predictions against the corrected gold.

    Args:
        info: of the run.
        samples: with gold tags.
        tags: view -> predictions, the headline view first.
        train: training samples, which tell seen from unseen mentions, in either gold by its own.
        usable: ids of usable images; see `train.measures.metrics.score_slices`.
    """

    def scored(gold: Callable[[Sequence[Sample]], Sequence[Sample]]) -> dict[str, Any]:
        known = mentions(gold(train)) if train is not None else None
        tagged = gold(samples)
        return {view: score_slices(tagged, pred, known, usable) for view, pred in tags.items()}

    metrics = {
        "dataset": info.dataset,
        "run": info.run,
        "system": info.system,
        "variant": info.variant,
        "seed": info.seed,
        "n_samples": len(samples),
        "headline_view": next(iter(tags)),
        "views": scored(lambda tagged: tagged),
    }
    if any(sample.repaired_tags is not None for sample in samples):
        metrics["repaired"] = scored(with_repaired_gold)
    return metrics
