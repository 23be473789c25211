"""The data of the error browser: tweets once, taggings as spans, images with thumbnails.

One JSON object a dataset, which assets/browser.js reads:

    name, types     entity types; a type is given by its place in this list
    tweets          [id, image_id, tokens, gold, evidence or "", 1 with a user handle else 0];
                    gold is [start, end, type, ...]
    runs            {label, seed, spans}; spans has one entry a tweet: 0 where the tagging is the
                    gold one, else [start, end, type, ...]; token offsets, end exclusive
    pair            places in runs of the two that are shown at first
    images          image_id -> record of `python -m extract gallery`; without it: null
"""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from extract.core.errors import DataError
from extract.corpora.handles import handle_positions
from extract.tables.samples import Sample, read_samples
from extract.tables.tags import entity_spans
from extract.tables.text_lines import iter_jsonl
from train.comparing.results import BASELINE, MAIN, aligned_predictions, base_system
from train.measures.predictions import TaggedText
from train.measures.slices import ALL
from train.report.runs import System, datasets_of, mean_and_sd

Dataset = dict[str, Any]

MAX_IMAGES = 400
"""Thumbnails on a page, by default: 4 to 8 MB."""

_IMAGE_ID = 1
"""Place of the image id in a tweet."""


def browser_data(
    systems: Sequence[System],
    samples: Mapping[str, Path],
    galleries: Mapping[str, Path],
    max_images: int = MAX_IMAGES,
) -> list[Dataset]:
    """Return what the browser shows of every dataset.

    Args:
        systems: evaluated runs; their predictions are read.
        samples: dataset -> the evaluated samples; ids and evidence come from there.
        galleries: dataset -> file of `python -m extract gallery`.
        max_images: thumbnails to embed; those of tweets on which systems differ come first.

    Raises:
        MissingFileError: a file is absent.
        DataError: the predictions are about other tweets than the samples or each other.
    """
    found = []
    for name in datasets_of(systems):
        mine = [system for system in systems if system.dataset == name]
        found.append(_dataset(name, mine, samples.get(name), galleries.get(name)))
    _drop_thumbnails(found, max_images)
    return found


def data_script(dataset: Dataset) -> str:
    """Return a data block for the page; nothing in it can end the block or begin a tag."""
    text = json.dumps(dataset, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    name = html.escape(dataset["name"], quote=True)
    return f'<script type="application/json" data-dataset="{name}">{text}</script>'


def _dataset(
    name: str, systems: Sequence[System], samples: Path | None, gallery: Path | None
) -> Dataset:
    runs = [(system, seed) for system in systems for seed in system.seeds]
    taggings = list(aligned_predictions(seed for _, seed in runs))
    reference = taggings[0]
    known = _identities(reference, samples)
    types: dict[str, int] = {}
    gold = [_flat(text.gold, types) for text in reference]
    tweets = [
        [sample_id, text.image_id, text.tokens, spans, evidence, int(_has_handle(text))]
        for text, spans, (sample_id, evidence) in zip(reference, gold, known, strict=True)
    ]
    described = [
        {
            "label": system.label,
            "seed": seed.seed,
            "spans": [
                0 if (spans := _flat(text.pred, types)) == right else spans
                for text, right in zip(texts, gold, strict=True)
            ],
        }
        for (system, seed), texts in zip(runs, taggings, strict=True)
    ]
    return {
        "name": name,
        "types": list(types),
        "tweets": tweets,
        "runs": described,
        "pair": _first_pair([system for system, _ in runs]),
        "images": _images(gallery, {tweet[_IMAGE_ID] for tweet in tweets}) if gallery else None,
    }


def _has_handle(text: TaggedText) -> bool:
    """Return whether the slice `with_handle` holds this tweet."""
    return bool(handle_positions(text.tokens))


def _flat(tags: Sequence[str], types: dict[str, int]) -> list[int]:
    """Return the entities of tags as start, end, type, ...; new types are added."""
    flat = []
    for entity_type, start, end in entity_spans(tags):
        flat += [start, end, types.setdefault(entity_type, len(types))]
    return flat


def _identities(texts: Sequence[TaggedText], path: Path | None) -> list[tuple[str, str]]:
    """Return id and evidence of each tweet: those of the samples, or its number and nothing.

    Raises:
        DataError: the samples are other tweets.
    """
    if path is None:
        return [(str(place), "") for place in range(1, len(texts) + 1)]
    samples: list[Sample] = read_samples(path)
    if [sample.tokens for sample in samples] != [text.tokens for text in texts]:
        raise DataError(f"{path}: other tweets than those of the predictions; give the test split.")
    return [(sample.id, sample.evidence or "") for sample in samples]


def _first_pair(systems: Sequence[System]) -> list[int]:
    """Return the places of the best other main run and of the baseline; the same with one run."""
    mains = [i for i, system in enumerate(systems) if system.variant == MAIN] or [0]
    base = next((i for i in mains if base_system(systems[i].name) == BASELINE), mains[0])
    others = [i for i in mains if systems[i].name != systems[base].name]
    return [max(others, key=lambda i: _f1(systems[i]), default=base), base]


def _f1(system: System) -> float:
    return mean_and_sd([scores["f1"] for scores in system.scores(ALL)])[0]


def _images(path: Path, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Return image id -> record, without what is empty.

    Raises:
        DataError: a line is not of a gallery, or an image of the tweets is not in it.
    """
    images = {}
    for number, record in iter_jsonl(path):
        if not {"image_id", "status", "thumbnail"} <= record.keys():
            raise DataError(f"{path}:{number}: not a line of `python -m extract gallery`")
        image_id = record.pop("image_id")
        if image_id in wanted:
            images[image_id] = {key: value for key, value in record.items() if value}
    absent = sorted(wanted - images.keys())
    if absent:
        raise DataError(
            f"{path}: {len(absent)} images of the tweets are not in it, e.g. {absent[0]!r}. "
            "Make it again from the samples that were evaluated."
        )
    return images


def _drop_thumbnails(datasets: Iterable[Dataset], limit: int) -> None:
    """Keep the thumbnails of the most telling tweets of all datasets, `limit` of them."""
    ranked = sorted(
        (_rank(dataset, place), place, order, dataset["name"], tweet[_IMAGE_ID])
        for order, dataset in enumerate(datasets)
        for place, tweet in enumerate(dataset["tweets"])
        if "thumbnail" in (dataset["images"] or {}).get(tweet[_IMAGE_ID], {})
    )
    kept = set(list(dict.fromkeys(entry[-2:] for entry in ranked))[:limit])
    for dataset in datasets:
        for image_id, record in (dataset["images"] or {}).items():
            if (dataset["name"], image_id) not in kept:
                record.pop("thumbnail", None)


def _rank(dataset: Dataset, place: int) -> int:
    """Return 0 where main runs differ, 1 where any do, 2 where all are wrong alike, else 3."""
    taggings = {run["label"]: [] for run in dataset["runs"]}
    for run in dataset["runs"]:
        taggings[run["label"]].append(run["spans"][place])
    every = [spans for found in taggings.values() for spans in found]
    mains = [s for label, found in taggings.items() if label.endswith(f"/{MAIN}") for s in found]
    for rank, chosen in enumerate((mains, every)):
        if any(spans != chosen[0] for spans in chosen):
            return rank
    return 2 if every[0] else 3
