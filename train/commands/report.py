"""`report`: figures and one HTML page from tables, runs, samples and galleries."""

import argparse
import logging
from pathlib import Path

from extract.core.errors import ConfigError

HELP = "Draw the figures of the runs and write report.html: tables, figures and an error browser."
EXAMPLE = (
    "python -m train report --summary results/summary.tsv --intervals results/intervals.tsv "
    "--metrics results/*/runs/*/seed*/metrics.json "
    "--samples sample=results/sample/samples/test.jsonl --out-dir results/report"
)

logger = logging.getLogger(__name__)

DATASET_PATH = "DATASET=PATH"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    parser.add_argument("--summary", type=Path, required=True, help="summary.tsv")
    parser.add_argument("--intervals", type=Path, required=True, help="intervals.tsv")
    parser.add_argument("--table", type=Path, help="table.tsv, shown first where it is given")
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="*",
        default=[],
        help="metrics.json files; curves and predictions are read beside them",
    )
    for flag, what in {
        "--samples": "the evaluated samples, test.jsonl: ids and evidence of the tweets",
        "--gallery": "file of `python -m extract gallery`: thumbnails, boxes, captions, words",
        "--corpus": "folder of a dataset's results: its counts, and links to its pages",
    }.items():
        parser.add_argument(
            flag, nargs="*", action="extend", default=[], metavar=DATASET_PATH, help=what
        )
    parser.add_argument(
        "--max-images",
        type=int,
        default=400,
        metavar="N",
        help="thumbnails on the page, first of tweets on which systems differ (default 400)",
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
    from train.commands.arguments import parse_paths
    from train.report.build import ReportJob, write_report
    from train.report.figures.ceilings import parse_ceilings

    if args.max_images < 0:
        raise ConfigError(f"--max-images: expected 0 or more, got {args.max_images}")
    job = ReportJob(
        summary=args.summary,
        intervals=args.intervals,
        table=args.table,
        metrics=args.metrics,
        samples=parse_paths(args.samples, "--samples", DATASET_PATH),
        galleries=parse_paths(args.gallery, "--gallery", DATASET_PATH),
        corpora=parse_paths(args.corpus, "--corpus", DATASET_PATH),
        ceilings=parse_ceilings(args.ceiling),
        max_images=args.max_images,
        out=args.out_dir,
    )
    paths = write_report(job)
    logger.info("wrote %s", ", ".join(str(path) for path in paths))
