"""`merge`: the shards of a feature set become one contiguous file."""

import argparse
from pathlib import Path

HELP = "Merge finished shards, in order, into one contiguous feature file with checksums."
EXAMPLE = (
    "python -m extract merge --shards s.1-of-2.h5 s.2-of-2.h5 --images results/x/images.tsv "
    "--out results/x/features/s.h5"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare shards, manifest and output."""
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="first to last")
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="feature file to write")


def run(args: argparse.Namespace) -> None:
    """Merge after checking ids against the manifest."""
    from extract.features.reuse import forget_unmerged
    from extract.store import merge_shards
    from extract.tables.images_table import read_images
    from extract.tables.lazy_table import pack_texts

    ids = pack_texts(row.image_id for row in read_images(args.images))
    merge_shards(args.shards, args.out, ids=ids)
    forget_unmerged(args.shards)
