"""`import`: a file of another project becomes an ordinary feature store."""

import argparse
import json
import logging
from pathlib import Path

COMMAND = "import"
HELP = "Read another project's features, boxes, captions or contexts into a feature file."
EXAMPLE = (
    "python -m extract import vinvl_tsv --source predictions.tsv --images results/x/images.tsv "
    "--out results/x/features/vinvl.h5"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the artefact, its files and what its rows are of."""
    parser.add_argument("kind", metavar="KIND", help="one of extract/interop/artefacts that reads")
    parser.add_argument("--source", type=Path, nargs="+", required=True, help="files or folders")
    parser.add_argument("--images", type=Path, help="images.tsv of the dataset")
    parser.add_argument(
        "--samples", type=Path, nargs="+", default=[], help="samples/*.jsonl (context_conll)"
    )
    parser.add_argument("--options", default="{}", help="options of the artefact as JSON")
    parser.add_argument("--out", type=Path, required=True, help="feature file to write")


def run(args: argparse.Namespace) -> None:
    """Import, and log the counts as one JSON line."""
    from extract.core.cli import json_value
    from extract.interop.stores import import_artefact
    from extract.tables.images_table import read_images
    from extract.tables.samples import read_samples

    counts = import_artefact(
        args.kind,
        args.source,
        args.out,
        images=read_images(args.images) if args.images else None,
        samples=[read_samples(path) for path in args.samples],
        options=json_value(args.options, "--options"),
    )
    logger.info("%s", json.dumps(counts))
