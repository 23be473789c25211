"""`table`: the summary, or ablation tables, readable on standard output."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HELP = "Print the summary, the bootstrap intervals and ablation tables, those that are given."
EXAMPLE = "python -m train table --summary results/summary.tsv --intervals results/intervals.tsv"

MIN_WIDTH = 150  # columns that the widest table needs

LEFT_OUT = frozenset(
    {
        "seen_recall_mean",
        "unseen_recall_mean",
        "p_randomisation",
        "n_paired_seeds",
        "least_significant",
    }
)
"""Columns that are in the files alone: the screen is narrow; so are rows of image and handle."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `table`."""
    parser.add_argument("--summary", type=Path, help="summary.tsv")
    parser.add_argument("--intervals", type=Path, help="intervals.tsv")
    parser.add_argument(
        "--ablation", type=Path, nargs="+", default=[], help="results/ablations/*.tsv"
    )


def run(args: argparse.Namespace) -> None:
    """Print one table a file.

    Raises:
        ConfigError: no file is given.
    """
    from rich.console import Console

    from extract.core.errors import ConfigError
    from train.comparing.ablation import AblationRow
    from train.comparing.intervals import IntervalRow
    from train.comparing.summary import SummaryRow
    from train.comparing.tables import read_table
    from train.measures.slices import HANDLE_SLICES, IMAGE_SLICES

    given = [("Entity scores (%), mean over seeds", SummaryRow, args.summary)]
    title = "F1 and differences, 95 % bootstrap intervals over tweets"
    given += [(title, IntervalRow, args.intervals)]
    given += [(f"Ablation {path.stem}", AblationRow, path) for path in args.ablation]
    tables = [(title, kind, read_table(path, kind)) for title, kind, path in given if path]
    if not tables:
        raise ConfigError("nothing to print: give --summary, --intervals or --ablation.")
    console = Console()
    # A narrow terminal wraps lines; cutting cells would hide scores.
    console.width = max(console.width, MIN_WIDTH)
    long = {*IMAGE_SLICES, *HANDLE_SLICES}
    for name, kind, rows in tables:
        shown = [row for row in rows if getattr(row, "slice", "") not in long]
        console.print(_table(name, kind, shown))


def _table(title: str, row_type: type, rows: Sequence[Any]) -> Any:
    """Return a rich table; cells are plain text, never markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from extract.core.logs import printable
    from train.comparing.tables import shown

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    fields = row_type.__dataclass_fields__
    columns = {name: field for name, field in fields.items() if name not in LEFT_OUT}
    for name, column in columns.items():
        is_text = column.type is str
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        is_bold = getattr(row, "slice", "") == "all"
        style = "bold" if is_bold else ""
        cells = [Text(printable(shown(name, getattr(row, name))), style=style) for name in columns]
        table.add_row(*cells)
    return table
