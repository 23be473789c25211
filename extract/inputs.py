"""What items carry besides images, read from the files given on the command line."""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from extract.errors import ConfigError, DataError
from extract.extractors.base import Phrase
from extract.manifest import ImageRow, iter_jsonl, read_samples
from extract.runner import Inputs
from extract.store import FeatureStore


def read_inputs(args: argparse.Namespace, images: Sequence[ImageRow]) -> Inputs:
    """Return phrases, captions, annotations and boxes of the given files, by image id."""
    phrases = {}
    if args.phrases is not None:
        if not args.samples:
            raise ConfigError("--phrases needs --samples, which say whose image a phrase is for")
        phrases = phrases_by_image(args.phrases, args.samples)
    annotations = {}
    if args.annotations is not None:
        from extract.annotations import read_annotations

        annotations = read_annotations(args.annotations)
    captions = {}
    if args.captions is not None:
        from extract.caption_lists import read_caption_list

        listed = read_caption_list(args.captions)
        captions = {row.image_id: tuple(listed.get(row.image_id, ())) for row in images}
    boxes = FeatureStore(args.boxes) if args.boxes is not None else None
    return Inputs(phrases, captions, annotations, boxes)


def phrases_by_image(path: Path, samples: Sequence[Path]) -> dict[str, tuple[Phrase, ...]]:
    """Join a phrases file with the samples: image id -> phrases of all its samples, in order.

    Raises:
        DataError: a sample has no line in the phrases file.
    """
    by_sample = {record["id"]: record["phrases"] for _, record in iter_jsonl(path)}
    by_image: dict[str, list[Phrase]] = defaultdict(list)
    for file in samples:
        for sample in read_samples(file):
            if sample.id not in by_sample:
                raise DataError(f"{path}: no line for sample '{sample.id}'. Extract phrases again.")
            by_image[sample.image_id] += [
                Phrase(p["text"], p["start"], p["end"], sample.id) for p in by_sample[sample.id]
            ]
    return {image_id: tuple(phrases) for image_id, phrases in by_image.items()}
