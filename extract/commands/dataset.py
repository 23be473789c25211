"""`dataset`: raw corpus -> samples, image manifest and counts."""

import argparse
from pathlib import Path

HELP = "Read a corpus and its images into samples/*.jsonl, images.tsv and stats.json."
EXAMPLE = (
    "python -m extract dataset --reader conll_imgid --root data/mine --images data/mine/images "
    "--out results/mine"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the corpus and the outputs."""
    parser.add_argument("--reader", required=True, help="a name in extract/corpora/readers/")
    parser.add_argument("--root", type=Path, required=True, help="folder of the split files")
    parser.add_argument("--images", type=Path, help="image folder (leave out: corpus without)")
    parser.add_argument("--evidence", type=Path, help="TSV of image id and evidence kind")
    parser.add_argument(
        "--repairs", metavar="FILE", help="label corrections: a repair file, or a shipped name"
    )
    parser.add_argument("--text", default="{}", help="JSON: labels, entity_types, type_map, files")
    parser.add_argument(
        "--splits", nargs="+", default=[], help="default: all of the reader (untagged: predict)"
    )
    parser.add_argument("--max-bad-images", type=float, default=0.05, help="fraction 0-1")
    parser.add_argument("--check-counts", action="store_true", help="fail on another copy")
    parser.add_argument(
        "--image-limits", default="{}", help="JSON: max_pixels, ...; see extract/images/limits.py"
    )
    parser.add_argument("--workers", type=int, default=2, help="decoding processes")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    """Prepare the dataset."""
    from extract.core.files import only_process

    # Whole, for `.` has no name that a lock could have.
    with only_process(args.out.resolve()):
        _prepare(args)


def _prepare(args: argparse.Namespace) -> None:
    from extract.core.cli import json_value
    from extract.core.options import options_from
    from extract.corpora.prepare import prepare_dataset
    from extract.corpora.readers.base import TextSettings
    from extract.corpora.repairs.format import repairs_file
    from extract.images.limits import ImageLimits

    prepare_dataset(
        args.reader,
        args.root,
        args.out,
        settings=options_from(TextSettings, json_value(args.text, "--text"), "--text"),
        splits=args.splits,
        image_folder=args.images,
        evidence=args.evidence,
        repairs=repairs_file(args.repairs) if args.repairs else None,
        max_bad_images=args.max_bad_images,
        check_counts=args.check_counts,
        workers=args.workers,
        limits=options_from(
            ImageLimits, json_value(args.image_limits, "--image-limits"), "--image-limits"
        ),
    )
