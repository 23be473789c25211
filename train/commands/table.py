"""`table`: the summary as a readable table on standard output."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HELP = "Print the summary, with the bootstrap intervals where given."
EXAMPLE = "python -m train table --summary results/summary.tsv --intervals results/intervals.tsv"

MIN_WIDTH = 110  # columns that the widest table needs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `table`."""
    parser.add_argument("--summary", type=Path, required=True, help="summary.tsv")
    parser.add_argument("--intervals", type=Path, help="intervals.tsv")


def run(args: argparse.Namespace) -> None:
    """Print one table, or two."""
    from rich.console import Console

    from train.summary import IntervalRow, SummaryRow, read_table

    rows = read_table(args.summary, SummaryRow)
    gaps = read_table(args.intervals, IntervalRow) if args.intervals else []
    console = Console()
    # A narrow terminal wraps lines; cutting cells would hide scores.
    console.width = max(console.width, MIN_WIDTH)
    console.print(_table("Entity scores (%), mean over seeds", SummaryRow, rows))
    if gaps:
        title = "F1 and differences, 95 % bootstrap intervals over tweets"
        console.print(_table(title, IntervalRow, gaps))


def _table(title: str, row_type: type, rows: Sequence[Any]) -> Any:
    """Return a rich table; cells are plain text, never markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from train.summary import shown

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    columns = row_type.__dataclass_fields__
    for name, column in columns.items():
        is_text = column.type is str
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        is_bold = getattr(row, "evidence", "") == "all"
        style = "bold" if is_bold else ""
        cells = [Text(shown(name, getattr(row, name)), style=style) for name in columns]
        table.add_row(*cells)
    return table
