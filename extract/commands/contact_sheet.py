"""`contact-sheet`: images with their tweets, phrases, boxes, captions and words -> PNG sheets."""

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import ConfigError

if TYPE_CHECKING:
    from extract.look.contact_sheet.content import Content, Stores
    from extract.tables.images_table import ImageRow
    from extract.tables.samples import Sample

HELP = "Draw images with their boxes, tweets, phrases, captions and words on PNG sheets, to look."
EXAMPLE = (
    "python -m extract contact-sheet --images results/x/images.tsv "
    "--samples results/x/samples/train.jsonl --boxes yolo=results/x/features/yolo_world.h5 "
    "--ocr results/x/features/ocr.h5 --out results/x/sheets --limit 48 --seed 1"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is shown, of which images, and how it is laid out."""
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument(
        "--samples", type=Path, nargs="+", required=True, help="{split}.jsonl, named by their stem"
    )
    for flag, what in {
        "--boxes": "grounding stores whose boxes are drawn; the name, shown as a heading, may be "
        "left out (the file's stem)",
        "--regions": "region stores (boxes with labels), drawn like --boxes",
        "--captions": "caption stores",
        "--ocr": "stores of words with boxes",
        "--phrases": "phrases files",
    }.items():
        parser.add_argument(
            flag, nargs="*", action="extend", default=[], metavar="NAME=FILE", help=what
        )
    parser.add_argument(
        "--ids",
        nargs="+",
        metavar="ID",
        help="image or sample ids to show, e.g. those of a "
        "problem in the ids table of `degradation` (default: all images)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="show at most N images")
    parser.add_argument(
        "--seed", type=int, help="draw the N of --limit by chance (default: the first N)"
    )
    parser.add_argument("--columns", type=int, default=3, help="tiles side by side (default 3)")
    parser.add_argument("--per-sheet", type=int, default=12, help="tiles on a sheet (default 12)")
    parser.add_argument(
        "--max-boxes", type=int, default=16, help="boxes drawn of a store and image (default 16)"
    )
    parser.add_argument(
        "--font",
        type=Path,
        help="TrueType font for other scripts (default: Pillow's own, which has English letters; "
        "others become their base letter or an empty box)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of sheet_0001.png, ... and sheets.tsv"
    )


def run(args: argparse.Namespace) -> None:
    """Write the sheets; those of an earlier run in the folder are replaced or removed."""
    from extract.core.logs import Progress
    from extract.look.contact_sheet.content import group_samples
    from extract.look.contact_sheet.sheets import write_sheets
    from extract.look.named_files import read_splits
    from extract.tables.images_table import ImageRows, read_images

    for flag in ("columns", "per_sheet", "max_boxes", "limit"):
        value = getattr(args, flag)
        if value is not None and value < 1:
            raise ConfigError(f"--{flag.replace('_', '-')}: expected at least 1, got {value}")
    started = time.monotonic()
    images = ImageRows(read_images(args.images))
    samples = group_samples(read_splits(args.samples))
    chosen = choose_images(samples, images, ids=args.ids, limit=args.limit, seed=args.seed)
    logger.info("contact sheet: %d of %d images", len(chosen), len(samples))
    progress = Progress("contact sheet", len(chosen))
    with ExitStack() as stack:
        stores = open_stores(args, stack)
        counts = write_sheets(
            _contents(chosen, samples, stores, args.max_boxes),
            args.out,
            stores,
            columns=args.columns,
            per_sheet=args.per_sheet,
            font=args.font,
            on_tile=lambda: progress.update(1),
        )
    without = sum(row.status != "ok" for row in chosen)
    seconds = round(time.monotonic() - started, 1)
    logger.info(json.dumps({**counts, "without_picture": without, "seconds": seconds}))


def _contents(
    chosen: Sequence["ImageRow"],
    samples: Mapping[str, Mapping[str, Sequence["Sample"]]],
    stores: "Stores",
    max_boxes: int,
) -> Iterator["Content"]:
    from extract.look.contact_sheet.content import describe

    for row in chosen:
        yield describe(row, samples[row.image_id], stores, max_boxes=max_boxes)


def choose_images(
    samples: Mapping[str, Mapping[str, Sequence["Sample"]]],
    images: Mapping[str, "ImageRow"],
    *,
    ids: Sequence[str] | None,
    limit: int | None,
    seed: int | None,
) -> Sequence["ImageRow"]:
    """Return the images to show, in the order of their first sample, or of `ids`.

    Args:
        samples: image id -> split -> its samples.
        images: image id -> line of images.tsv.
        ids: image or sample ids; None takes every image that a sample has.
        limit: greatest number of images.
        seed: of a draw of `limit` images, whose order is kept; None takes the first ones.

    Raises:
        ConfigError: an id is of no image or sample here.
        DataError: a sample's image is not in the manifest.
    """
    import random

    from extract.core.errors import DataError, near_match
    from extract.tables.images_table import pack_images

    image_of = {
        s.id: i for i, splits in samples.items() for found in splits.values() for s in found
    }
    wanted = list(samples)
    if ids is not None:
        for wanted_id in ids:
            if wanted_id not in samples and wanted_id not in image_of:
                known = [*samples, *image_of]
                raise ConfigError(
                    f"--ids: no image or sample '{wanted_id}' in --samples."
                    f"{near_match(wanted_id, known)}"
                )
        wanted = list(dict.fromkeys(i if i in samples else image_of[i] for i in ids))
    if limit is not None and limit < len(wanted):
        places = range(limit)
        if seed is not None:
            places = sorted(random.Random(seed).sample(range(len(wanted)), limit))
        wanted = [wanted[place] for place in places]
    absent = [image_id for image_id in wanted if image_id not in images]
    if absent:
        raise DataError(
            f"--images: {len(absent)} images of the samples are not in it, e.g. {absent[0]!r}. "
            "Give the samples and the images.tsv of one run of `dataset`."
        )
    return pack_images(images[image_id] for image_id in wanted)


def open_stores(args: argparse.Namespace, stack: ExitStack) -> "Stores":
    """Open everything that is shown; `stack` closes it.

    Raises:
        ConfigError: two files of one kind have one name.
        DataError: a store has not the columns that its flag draws.
    """
    from extract.features.inputs import phrases_by_image
    from extract.look.contact_sheet.content import Stores
    from extract.look.named_files import named_paths
    from extract.store import FeatureStore, open_whole

    def opened(texts: Sequence[str], flag: str) -> dict[str, FeatureStore]:
        paths = named_paths(texts, flag)
        return {name: stack.enter_context(open_whole(path)) for name, path in paths}

    phrases: dict[str, dict[str, list[str]]] = {}
    for name, path in named_paths(args.phrases, "--phrases"):
        by_image = phrases_by_image(path, args.samples)
        phrases[name] = {}
        for found in by_image.values():
            for phrase in found:
                phrases[name].setdefault(phrase.sample_id, []).append(phrase.text)
    return Stores(
        boxes=opened([*args.boxes, *args.regions], "--boxes, --regions"),
        captions=opened(args.captions, "--captions"),
        ocr=opened(args.ocr, "--ocr"),
        phrases=phrases,
    )
