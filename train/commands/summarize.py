"""`summarize`: metrics of many runs -> summary.tsv and intervals.tsv."""

import argparse
import logging
from pathlib import Path

HELP = "Average metrics over seeds and give bootstrap intervals of scores and differences."
EXAMPLE = (
    "python -m train summarize --metrics results/*/runs/*/seed*/metrics.json "
    "--out results/summary.tsv --intervals results/intervals.tsv"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `summarize`."""
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="+",
        required=True,
        help="metrics.json files; their predictions lie beside them",
    )
    parser.add_argument("--out", type=Path, required=True, help="summary.tsv to write")
    parser.add_argument("--intervals", type=Path, help="intervals.tsv to write")
    parser.add_argument("--dataset", default="", help="dataset id of files that name none")
    parser.add_argument(
        "--resamples", type=int, default=10_000, help="bootstrap resamples (default 10000)"
    )


def run(args: argparse.Namespace) -> None:
    """Write both tables."""
    from train.summary import (
        IntervalRow,
        SummaryRow,
        interval_rows,
        read_results,
        summary_rows,
        write_table,
    )

    groups = read_results(args.metrics, args.dataset)
    rows = summary_rows(groups)
    write_table(args.out, SummaryRow, rows)
    logger.info("%s: %d rows from %d files", args.out, len(rows), len(args.metrics))
    if args.intervals:
        intervals = interval_rows(groups, args.resamples)
        write_table(args.intervals, IntervalRow, intervals)
        logger.info("%s: %d rows", args.intervals, len(intervals))
