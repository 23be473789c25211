"""Tables of results: read from TSV by their own header, and written as HTML that can be sorted."""

import csv
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import DataError, MissingFileError

LONG = 24
"""Letters above which a cell of text gets a wide column."""


@dataclass(frozen=True)
class Table:
    """A TSV file as it is: every cell is text."""

    columns: tuple[str, ...]
    rows: list[dict[str, str]]

    def is_numeric(self, column: str) -> bool:
        """Return whether every cell that says something is a number."""
        cells = [row[column] for row in self.rows if row[column]]
        return bool(cells) and all(number(cell) is not None for cell in cells)


def read_tsv(path: Path, required: Sequence[str] = ()) -> Table:
    """Read a table with a header line.

    Args:
        path: UTF-8, tab-separated.
        required: columns that must be there; others may be, too.

    Raises:
        MissingFileError: no such file.
        DataError: a required column is not there, or a line has not one cell a column.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such table; `python -m train summarize` writes it.")
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter="\t")
        columns = tuple(next(reader, ()))
        missing = [name for name in required if name not in columns]
        if missing:
            raise DataError(
                f"{path}:1: expected columns {', '.join(required)}; {', '.join(missing)} "
                f"not among {', '.join(columns) or 'none'}. Run `python -m train summarize` again."
            )
        rows = []
        for cells in reader:
            if len(cells) != len(columns):
                raise DataError(
                    f"{path}:{reader.line_num}: expected {len(columns)} cells, got {len(cells)}"
                )
            rows.append(dict(zip(columns, cells, strict=True)))
    return Table(columns, rows)


def number(cell: str) -> float | None:
    """Return the number that a cell begins with (`83.82 ± 0.31`, `nan`); None without one."""
    try:
        return float(cell.split()[0])
    except (IndexError, ValueError):
        return None


def table_html(table: Table, caption: str, *, is_raw: bool = False) -> str:
    """Return a table whose columns sort by their heading.

    Columns of text before the first column of numbers head the rows and stay in view. Columns of
    numbers are right-aligned. An empty cell or NaN is a dash; a column of dashes is left out.

    Args:
        table: what to show.
        caption: of the table.
        is_raw: it is a TSV file as it is; headings show the `_` of its columns as spaces.
    """
    columns = [c for c in table.columns if not all(_is_empty(row[c]) for row in table.rows)]
    numeric = {name: table.is_numeric(name) for name in columns}
    n_heads = max(1, next((i for i, name in enumerate(columns) if numeric[name]), 1))
    titles = {name: name.replace("_", " ") if is_raw else name for name in columns}
    heads = "".join(_heading(titles[name], numeric[name]) for name in columns)
    lines = []
    for row in table.rows:
        cells = [
            _cell(row[name], is_number=numeric[name], is_head=place < n_heads)
            for place, name in enumerate(columns)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}">'
        f'<table class="sortable"><caption>{html.escape(caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _heading(title: str, is_number: bool) -> str:
    kind = ' class="number"' if is_number else ""
    return f'<th scope="col"{kind}><button type="button">{html.escape(title)}</button></th>'


def _is_empty(text: str) -> bool:
    return text in ("", "nan")


def _cell(text: str, *, is_number: bool, is_head: bool) -> str:
    shown = "–" if _is_empty(text) else html.escape(text)
    if is_head:
        return f'<th scope="row">{shown}</th>'
    kind = "number" if is_number else "long" if len(text) > LONG else ""
    return f'<td class="{kind}">{shown}</td>' if kind else f"<td>{shown}</td>"
