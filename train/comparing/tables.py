"""Dataclass rows <-> TSV files, and how a number is shown in every table."""

import csv
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from extract.core.errors import DataError, MissingFileError
from extract.core.files import atomic_path

Row = TypeVar("Row")


def write_table(path: Path, row_type: type, rows: Sequence[Any]) -> None:
    """Write dataclass rows as TSV, in the order given."""
    columns = [column.name for column in fields(row_type)]
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            record = asdict(row)
            writer.writerow([shown(name, record[name]) for name in columns])


def shown(name: str, value: Any) -> str:
    """Return a cell's text: floats with 2 decimals (p values with 4), nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        is_p = name == "p" or name.startswith("p_")
        return f"{value:.4f}" if is_p else f"{value:.2f}"
    return str(value)


def read_table(path: Path, row_type: type[Row]) -> list[Row]:
    """Read what `write_table` wrote.

    Raises:
        MissingFileError: no such file.
        DataError: other columns, or a cell that is no number where one is due.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such table; `summarize` and `ablate` write them.")
    kinds = {column.name: column.type for column in fields(row_type)}
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if reader.fieldnames != list(kinds):
            raise DataError(f"{path}:1: expected columns {list(kinds)}, got {reader.fieldnames}")
        rows = []
        for record in reader:
            where = f"{path}:{reader.line_num}"
            cells = {name: _cell(kinds[name], record[name], where, name) for name in kinds}
            rows.append(row_type(**cells))
    return rows


def _cell(kind: Any, text: str | None, where: str, name: str) -> Any:
    """Return the value of a cell; an empty one is None where the column may be None."""
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if not text and type(None) in options:
        return None
    try:
        return options[0](text or "")
    except ValueError as error:
        raise DataError(f"{where}: {name} should be a number, got {text!r}") from error
