"""A finished run on text without tags: predictions.conll and predictions.jsonl.

`confidence` of a token is the CRF's marginal probability of the tag on its best path. That of a
span is the least of its tokens': an upper bound of the probability that all its tags are right,
and, unlike the product, no smaller for long names only because they are long.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from extract.core.errors import ConfigError, DataError, ShapeError, StoreError
from extract.core.files import write_text
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.tables.samples import Sample, read_samples
from extract.tables.tags import entity_spans
from train.data.batches import eval_batches
from train.data.examples import ExampleDataset, FeatureSource, without_tags
from train.measures.inference import iter_batches
from train.measures.predictions import HEADER
from train.systems.base import TaggingModel
from train.training.accelerator import create_accelerator, seed_all, used_resources
from train.training.run_folder.checkpoint import RunInfo, load_run
from train.training.run_spec import check_roles

logger = logging.getLogger(__name__)

DIGITS = 6
"""Decimals of a confidence."""


@dataclass(frozen=True)
class PredictJob:
    """What one `predict` is asked to do."""

    run: Path
    """Folder of a finished run."""
    samples: Path
    """Samples; tags they may have are not looked at."""
    out: Path
    stores: dict[str, Path] = field(default_factory=dict)
    """Role -> feature store."""
    view: str = ""
    """View of the system; empty: its headline."""
    allow_other_features: bool = False
    device: str = "auto"
    workers: int = 0


@dataclass(frozen=True)
class Tagging:
    """What a run says of one sample."""

    tags: list[str]
    confidence: list[float | None] | None
    """One number a token, None for a token that was not read; None: the system gives none."""


def predict(job: PredictJob) -> dict[str, Any]:
    """Tag samples with a run and write both files.

    Returns:
        What the last log line says: numbers of samples and entities, seconds.

    Raises:
        MnerError: missing or unfitting inputs.
    """
    started = time.monotonic()
    model, info = load_run(job.run)
    options = options_from(load_module("train.systems", info.system).Options, info.options, "run")
    check_roles(info.system, model.required_features(options), job.stores)
    view = job.view or model.views[0]
    if view not in model.views:
        raise ConfigError(f"--view {view}: {info.system} has the views {', '.join(model.views)}.")
    samples = read_untagged(job.samples)
    accelerator = create_accelerator(job.device, info.recipe.precision)
    seed_all(info.seed)
    model.to(accelerator.device)
    with FeatureSource(job.stores, info.variant) as source:
        check_features(source.fingerprints, info, allow_others=job.allow_other_features)
        dataset = source.join(samples)
        batches = eval_batches(samples, info.recipe.eval_batch_size)
        taggings = tag_batches(model, dataset, batches, view, accelerator, job.workers)
    if taggings[0].confidence is None:
        logger.info("%s gives no marginals: confidence is null", info.system)
    if accelerator.is_main_process:
        write_text(job.out / "predictions.conll", to_conll(samples, taggings))
        write_text(job.out / "predictions.jsonl", to_jsonl(samples, taggings))
    return {
        "run": info.run,
        "view": view,
        "n_samples": len(samples),
        "n_entities": sum(len(entity_spans(tagging.tags)) for tagging in taggings),
        "seconds": round(time.monotonic() - started, 1),
        **used_resources(accelerator),
    }


def read_untagged(path: Path) -> list[Sample]:
    """Read samples and forget their tags.

    Raises:
        DataError: no sample, one without tokens, or a token or image id that a CoNLL line cannot
            hold.
    """
    samples = without_tags(read_samples(path))
    if not samples:
        raise DataError(f"{path}: no sample, so there is nothing to tag.")
    for sample in samples:
        if not sample.tokens:
            raise DataError(f"{path}: sample {sample.id} has no tokens. Remove it.")
        if any("\n" in text for text in (sample.image_id, *sample.tokens)):
            raise DataError(f"{path}: sample {sample.id}: image id or a token has a line break.")
    return samples


def check_features(found: dict[str, str], info: RunInfo, *, allow_others: bool) -> None:
    """Check that each store was made as the run's was: extractor, options, weights; not images.

    Args:
        found: role -> fingerprint of the given store.
        info: of the run.
        allow_others: warn instead of refusing.

    Raises:
        StoreError: a fingerprint differs.
    """
    for role, fingerprint in found.items():
        expected = info.fingerprints.get(role, "none (the run does not say)")
        if fingerprint == expected:
            continue
        message = f"store '{role}': expected the fingerprint {expected}, got {fingerprint}."
        if not allow_others:
            raise StoreError(
                f"{message} Extract these features with the spec of the run's "
                f"{info.features.get(role, 'features')}, or give --allow-other-features."
            )
        logger.warning("%s Tags and confidence may be worth nothing.", message)


@torch.no_grad()
def tag_batches(
    model: TaggingModel,
    dataset: ExampleDataset,
    batches: Sequence[list[int]],
    view: str,
    accelerator: Accelerator,
    workers: int = 0,
) -> list[Tagging]:
    """Return tags and confidence of every sample, in the dataset's order.

    Args:
        model: in evaluation mode, not wrapped for several processes.
        dataset: what to tag.
        batches: indices of the samples of each batch.
        view: one of the model's.
        accelerator: device, autocast and processes; each tags its share and all get the whole.
        workers: processes that read features ahead.

    Raises:
        ShapeError: the model gave a sample another number of tags than it has tokens.
    """
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    found: list[tuple[int, Tagging]] = []
    with accelerator.autocast():
        loader = iter_batches(dataset, mine, model.collate, accelerator.device, workers)
        for indices, batch in zip(mine, loader, strict=True):
            tags = model.decode(batch, view)
            marginals = model.marginals(batch, view) or [None] * len(tags)
            found += zip(indices, map(Tagging, tags, marginals), strict=True)
    by_index = dict(gather_object(found))
    for index, sample in enumerate(dataset.samples):
        for values in (by_index[index].tags, by_index[index].confidence or sample.tokens):
            if len(values) != len(sample.tokens):
                raise ShapeError(
                    f"sample {sample.id}, view {view}: {len(sample.tokens)} tokens but "
                    f"{len(values)} predictions"
                )
    return [by_index[index] for index in range(len(dataset))]


def to_conll(samples: Sequence[Sample], taggings: Sequence[Tagging]) -> str:
    """Return `IMGID:` lines, `token TAB tag` lines and a blank line between samples."""
    blocks = []
    for sample, tagging in zip(samples, taggings, strict=True):
        rows = zip(sample.tokens, tagging.tags, strict=True)
        lines = [f"{HEADER}{sample.image_id}", *("\t".join(row) for row in rows)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def to_jsonl(samples: Sequence[Sample], taggings: Sequence[Tagging]) -> str:
    """Return one JSON object a line: id, image_id, tokens, tags, confidence, spans."""
    pairs = zip(samples, taggings, strict=True)
    return "".join(json.dumps(_record(*pair), ensure_ascii=False) + "\n" for pair in pairs)


def _record(sample: Sample, tagging: Tagging) -> dict[str, Any]:
    return {
        "id": sample.id,
        "image_id": sample.image_id,
        "tokens": sample.tokens,
        "tags": tagging.tags,
        "confidence": tagging.confidence and [_rounded(p) for p in tagging.confidence],
        "spans": [
            {
                "start": start,
                "end": end,
                "type": entity_type,
                "text": " ".join(sample.tokens[start:end]),
                "confidence": _least(tagging.confidence, start, end),
            }
            for entity_type, start, end in entity_spans(tagging.tags)
        ],
    }


def _least(confidence: list[float | None] | None, start: int, end: int) -> float | None:
    """Return the least confidence of the tokens from start to end, or None if one has none."""
    if confidence is None or None in confidence[start:end]:
        return None
    return _rounded(min(confidence[start:end]))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
