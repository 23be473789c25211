"""`verify`: is a feature file whole, and does it fit the manifest?"""

import argparse
import glob
import json
import sys
from pathlib import Path

HELP = "Check a feature file: format, checksums, finite rows, ids of the manifest."
EXAMPLE = "python -m extract verify results/x/features/vgg16.h5 --images results/x/images.tsv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file, the manifest and the report."""
    parser.add_argument("file", type=Path, help="merged feature file")
    parser.add_argument("--images", type=Path, help="images.tsv that it must cover")
    parser.add_argument("--out", type=Path, help="JSON report (default: standard output)")


def run(args: argparse.Namespace) -> None:
    """Write counts, or fail with every finding."""
    from extract.core.files import write_json
    from extract.store import verify_store
    from extract.store.opening import check_foreign
    from extract.tables.images_table import read_images

    images = read_images(args.images) if args.images else None
    check_foreign(args.file)
    report = verify_store(args.file, images)
    # Where the rules put shards; those of this file are all merged, so what is left is stale.
    shards = args.file.parent.parent.glob(f"shards/{glob.escape(args.file.stem)}.*.partial")
    report["stale_partials"] = sorted(path.name for path in shards)
    if args.out:
        write_json(args.out, report)
    else:
        sys.stdout.write(json.dumps(report, indent=2, sort_keys=True) + "\n")
