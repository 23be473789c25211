"""`report`: figures and one HTML page from the two tables."""

import argparse
import logging
from pathlib import Path

HELP = "Draw F1 with intervals, F1 by evidence and learning curves, and write summary.html."
EXAMPLE = (
    "python -m train report --summary results/summary.tsv --intervals results/intervals.tsv "
    "--metrics results/*/runs/*/seed*/metrics.json --out-dir results/report"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    parser.add_argument("--summary", type=Path, required=True, help="summary.tsv")
    parser.add_argument("--intervals", type=Path, required=True, help="intervals.tsv")
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="*",
        default=[],
        help="metrics.json files; the curves are read from metrics.jsonl beside them",
    )
    parser.add_argument(
        "--ceiling",
        action="append",
        default=[],
        metavar="[DATASET:]LABEL=F1",
        help="draw a line at a score that some evidence limits; repeat for more",
    )
    parser.add_argument("--out-dir", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    """Write the report."""
    from train.report import parse_ceilings, write_report

    ceilings = parse_ceilings(args.ceiling)
    paths = write_report(args.out_dir, args.summary, args.intervals, args.metrics, ceilings)
    logger.info("wrote %s", ", ".join(str(path) for path in paths))
