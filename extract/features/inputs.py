"""What items carry besides images, read from the files given on the command line."""

import argparse
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from extract.core.errors import ConfigError, DataError
from extract.features.engine import Inputs
from extract.store import open_whole
from extract.tables.caption_lists import read_caption_list, strip_image_suffix
from extract.tables.images_table import ImageRow
from extract.tables.rows import Phrase
from extract.tables.samples import read_samples
from extract.tables.text_lines import iter_jsonl

T = TypeVar("T")

logger = logging.getLogger(__name__)


def read_inputs(args: argparse.Namespace, images: Sequence[ImageRow]) -> Inputs:
    """Return phrases, captions, annotations and boxes of the given files, by image id."""
    phrases = captions = annotations = boxes = None
    if args.phrases is not None:
        if not args.samples:
            raise ConfigError("--phrases needs --samples, which say whose image a phrase is for")
        phrases = phrases_by_image(args.phrases, args.samples)
    if args.annotations is not None:
        from extract.features.annotations import read_annotations

        annotations = by_image_id(read_annotations(args.annotations), images, "annotations")
    if args.captions is not None:
        captions = by_image_id(read_caption_list(args.captions), images, "captions")
    if args.boxes is not None:
        boxes = open_whole(args.boxes)
    return Inputs(phrases, captions, annotations, boxes)


def by_image_id(
    listed: Mapping[str, Sequence[T]], images: Sequence[ImageRow], what: str
) -> dict[str, tuple[T, ...]]:
    """Join a list with the manifest, whose ids may have an image extension that the list has not.

    Args:
        listed: image name, with or without its extension -> what is listed for it.
        images: the manifest.
        what: is listed, for the log.

    Returns:
        Image id -> what is listed for it, for the ids that the list has.
    """
    names = {row.image_id: row.image_id for row in images}
    for image_id in names.keys() - listed.keys():
        names[image_id] = strip_image_suffix(image_id)
    unused = len(listed.keys() - set(names.values()))
    found = {i: tuple(listed[name]) for i, name in names.items() if name in listed}
    logger.info("%s of %d images in %d, unused names: %d", what, len(found), len(names), unused)
    return found


def phrases_by_image(path: Path, samples: Sequence[Path]) -> dict[str, tuple[Phrase, ...]]:
    """Join a phrases file with the samples: image id -> phrases of all its samples, in order.

    Raises:
        DataError: a line breaks the format, or a sample has no line in the phrases file.
    """
    by_sample = {}
    for number, record in iter_jsonl(path):
        try:
            phrases = [Phrase(p["text"], p["start"], p["end"]) for p in record["phrases"]]
            by_sample[record["id"]] = phrases
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: expected {{id, phrases: [{{text, start, end}}]}} ({error!r})"
            ) from error
    by_image: dict[str, list[Phrase]] = defaultdict(list)
    for file in samples:
        for sample in read_samples(file):
            if sample.id not in by_sample:
                raise DataError(f"{path}: no line for sample '{sample.id}'. Extract phrases again.")
            by_image[sample.image_id] += [
                Phrase(p.text, p.start, p.end, sample.id) for p in by_sample[sample.id]
            ]
    return {image_id: tuple(phrases) for image_id, phrases in by_image.items()}
