"""`degradation`: samples, images, phrases, crops, stores -> what was lost, counted and listed."""

import argparse
import json
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import ConfigError

if TYPE_CHECKING:
    from extract.look.losses.sources import Source
    from extract.tables.images_table import ImageRow

HELP = "Count what each split loses (images, phrases, boxes, crops, texts) and list every id."
EXAMPLE = (
    "python -m extract degradation --samples results/x/samples/train.jsonl "
    "--images results/x/images.tsv --phrases nltk=results/x/phrases/nltk.jsonl "
    "--store ocr=results/x/features/ocr.h5 --out degradation.tsv --ids degradation_ids.tsv"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is searched and the tables."""
    parser.add_argument(
        "--samples", type=Path, nargs="+", required=True, help="{split}.jsonl, named by their stem"
    )
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    for flag, what in {
        "--phrases": "phrases files; the name may be left out: the file's stem",
        "--crops": "crops.jsonl files; the name may be left out: the folder's",
        "--store": "feature files; the name may be left out: the file's stem. What a file holds is "
        "in its provenance, or is said by `grounding/`, `captions/`, `ocr/` or `features/` "
        "before the name",
    }.items():
        parser.add_argument(
            flag, nargs="*", action="extend", default=[], metavar="NAME=FILE", help=what
        )
    parser.add_argument("--out", type=Path, required=True, help="table of counts (.tsv)")
    parser.add_argument("--ids", type=Path, required=True, help="table of ids (.tsv)")
    parser.add_argument("--html", type=Path, help="the same as a page to read")


def run(args: argparse.Namespace) -> None:
    """Write the tables and, where wanted, the page."""
    from extract.core.files import write_text
    from extract.look.losses.counts import (
        check_images,
        count_cases,
        find_cases,
        write_cases,
        write_counts,
    )
    from extract.look.losses.page import make_page
    from extract.look.named_files import read_splits
    from extract.tables.images_table import ImageRows, read_images

    started = time.monotonic()
    splits = read_splits(args.samples)
    images = ImageRows(read_images(args.images))
    check_images(splits, images)
    with ExitStack() as stack:
        sources = open_sources(args, images, stack)
        logger.info("degradation: %d splits, %d sources", len(splits), len(sources))
        cases = find_cases(splits, sources)
    counts = count_cases(splits, sources, cases)
    write_cases(args.ids, cases)
    if args.html:
        write_text(args.html, make_page(splits, sources, counts, cases, args.ids.name))
    write_counts(args.out, counts)
    summary = {
        "tweets": sum(map(len, splits.values())),
        "images": len({s.image_id for samples in splits.values() for s in samples}),
        "sources": len(sources),
        "counts": len(counts),
        "counts_above_0": sum(count.count > 0 for count in counts),
        "cases": len(cases),
        "seconds": round(time.monotonic() - started, 1),
    }
    logger.info(json.dumps(summary))


def open_sources(
    args: argparse.Namespace, images: Mapping[str, "ImageRow"], stack: ExitStack
) -> list["Source"]:
    """Return what is to be searched, in the order images, phrases, stores, crops.

    Raises:
        ConfigError: two of one kind have one name, or a kind is not known.
        DataError: a crop is of an image that is not in the manifest.
    """
    from extract.core.errors import DataError
    from extract.crops.plan import iter_manifest
    from extract.features.inputs import phrases_by_image
    from extract.look.losses import sources
    from extract.look.named_files import named_paths
    from extract.store import open_whole

    found = [sources.images_source(images)]
    for name, path in named_paths(args.phrases, "--phrases"):
        by_image = phrases_by_image(path, args.samples)
        with_phrase = frozenset(p.sample_id for phrases in by_image.values() for p in phrases)
        found.append(sources.phrases_source(name, with_phrase))
    for label, path in named_paths(args.store, "--store"):
        kind, _, name = label.rpartition("/")
        if kind and kind not in sources.STORE_KINDS:
            known = ", ".join(sources.STORE_KINDS)
            raise ConfigError(f"--store {label}: no kind '{kind}'; known: {known}")
        store = stack.enter_context(open_whole(path))
        found.append(sources.store_source(name, store, kind))
    for name, path in named_paths(args.crops, "--crops"):
        source = sources.crops_source(name, iter_manifest(path))
        unknown = sorted(image_id for image_id in source.boxes if image_id not in images)
        if unknown:
            raise DataError(
                f"{path}: {len(unknown)} images are not in {args.images}, e.g. {unknown[0]!r}. "
                "Give the images.tsv that the crops were made from."
            )
        found.append(source)
    names = [source.name for source in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two files are called {name}. Give them as NAME=FILE.")
    return found
