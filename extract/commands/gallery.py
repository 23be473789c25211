"""`gallery`: images, stores -> thumbnails, boxes, captions and words as JSON lines."""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import ConfigError

if TYPE_CHECKING:
    from extract.tables.images_table import ImageRow

HELP = "Write thumbnails with boxes, captions and OCR words as JSON lines, for the report's page."
EXAMPLE = (
    "python -m extract gallery --images results/x/images.tsv "
    "--samples results/x/samples/test.jsonl --boxes results/x/features/yolo_world.h5 "
    "--captions results/x/features/captions.h5 --out results/x/gallery.jsonl"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whose images, what is told of them, and the size of a thumbnail."""
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument(
        "--samples", type=Path, nargs="+", required=True, help="{split}.jsonl whose images are told"
    )
    for flag, what in {
        "--boxes": "grounding or region stores; the name may be left out: the file's stem",
        "--captions": "caption stores",
        "--ocr": "stores of words with boxes",
    }.items():
        parser.add_argument(
            flag, nargs="*", action="extend", default=[], metavar="NAME=FILE", help=what
        )
    for flag, default, what in (
        ("--longest-px", 320, "longer side of a thumbnail"),
        ("--quality", 75, "of the JPEG, 1 to 95"),
        ("--max-boxes", 16, "boxes told of a store and image, its first ones"),
    ):
        parser.add_argument(flag, type=int, default=default, help=f"{what} (default {default})")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.jsonl)")


def run(args: argparse.Namespace) -> None:
    """Write the file."""
    from extract.look.contact_sheet.content import Stores
    from extract.look.gallery import write_gallery
    from extract.look.named_files import named_paths
    from extract.store import open_whole

    options = {name: getattr(args, name) for name in ("longest_px", "quality", "max_boxes")}
    for name, value in options.items():
        most = 95 if name == "quality" else None
        if value < 1 or (most and value > most):
            expected = f"1 to {most}" if most else "at least 1"
            raise ConfigError(f"--{name.replace('_', '-')}: expected {expected}, got {value}")
    started = time.monotonic()
    rows = _rows(args)
    with ExitStack() as stack:
        stores = {
            kind: {
                name: stack.enter_context(open_whole(path))
                for name, path in named_paths(getattr(args, kind), f"--{kind}")
            }
            for kind in ("boxes", "captions", "ocr")
        }
        counts = write_gallery(args.out, rows, Stores(**stores), **options)
    logger.info(json.dumps({**counts, "seconds": round(time.monotonic() - started, 1)}))


def _rows(args: argparse.Namespace) -> Sequence["ImageRow"]:
    """Return the manifest's line of each image of the samples, in order of first use."""
    from extract.commands.contact_sheet import choose_images
    from extract.look.contact_sheet.content import group_samples
    from extract.look.named_files import read_splits
    from extract.tables.images_table import ImageRows, read_images

    images = ImageRows(read_images(args.images))
    samples = group_samples(read_splits(args.samples))
    return choose_images(samples, images, ids=None, limit=None, seed=None)
