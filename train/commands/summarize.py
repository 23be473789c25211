"""`summarize`: metrics of many runs -> summary.tsv, intervals.tsv and the results table."""

import argparse
import logging
from pathlib import Path

from train.commands.arguments import add_resamples_argument

HELP = "Average metrics over seeds and give bootstrap intervals of scores and differences."
EXAMPLE = (
    "python -m train summarize --metrics results/*/runs/*/seed*/metrics.json "
    "--out results/summary.tsv --intervals results/intervals.tsv --page results/table.md"
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
    parser.add_argument(
        "--table",
        type=Path,
        help="table.tsv to write: scores, tests and published numbers; run.json is read too",
    )
    parser.add_argument("--page", type=Path, help="the same to read, Markdown")
    parser.add_argument("--dataset", default="", help="dataset id of files that name none")
    add_resamples_argument(parser)


def run(args: argparse.Namespace) -> None:
    """Write the tables that are asked for."""
    from extract.core.files import write_text
    from train.comparing.intervals import IntervalRow, interval_rows
    from train.comparing.results import read_results
    from train.comparing.results_page import render_results
    from train.comparing.results_table import ResultRow, result_rows
    from train.comparing.summary import SummaryRow, summary_rows
    from train.comparing.tables import write_table

    groups = read_results(args.metrics, args.dataset)
    rows = summary_rows(groups)
    write_table(args.out, SummaryRow, rows)
    logger.info("%s: %d rows from %d files", args.out, len(rows), len(args.metrics))
    if not (args.intervals or args.table or args.page):
        return
    intervals = interval_rows(groups, args.resamples)
    if args.intervals:
        write_table(args.intervals, IntervalRow, intervals)
        logger.info("%s: %d rows", args.intervals, len(intervals))
    results = result_rows(groups, intervals)
    if args.table:
        write_table(args.table, ResultRow, results)
    if args.page:
        write_text(args.page, render_results(results))
