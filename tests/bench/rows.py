"""A Markdown table whose rows are written as they come: a stopped run has said something."""

import sys
from collections.abc import Sequence


class Rows:
    """Write the head of a table at once, then row by row.

    Args:
        *columns: names; the first column is aligned to the left, the others to the right.
    """

    def __init__(self, *columns: str) -> None:
        self._widths = [max(8, len(column)) for column in columns]
        self.write(columns)
        self.write([":-", *["-:"] * (len(columns) - 1)])

    def write(self, cells: Sequence[str]) -> None:
        """Write one row to stdout."""
        first, *others = zip(cells, self._widths, strict=True)
        padded = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        sys.stdout.write(f"| {' | '.join(padded)} |\n")
        sys.stdout.flush()
