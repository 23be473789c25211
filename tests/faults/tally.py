"""Counting runs of one fault."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.checks import Broken
from tests.faults.row import Row


class Tally:
    """Runs of one fault, and what became of them.

    Args:
        fault: first column of the table.
        unit: note of the table where all went well.
    """

    def __init__(self, fault: str, unit: str = "") -> None:
        self.fault, self.note = fault, unit
        self.runs = self.recovered = self.lost = 0

    @contextmanager
    def run(self, what: str = "") -> Iterator[None]:
        """Count one run; it recovered where no check in the block is broken."""
        self.runs += 1
        try:
            yield
        except Broken as error:
            self.note = f"{what}: {error}"[:300]
            sys.stderr.write(f"{self.fault} {self.note}\n")
        else:
            self.recovered += 1

    def lose(self, count: int) -> None:
        """Note what had to be computed again."""
        self.lost = max(self.lost, count)

    @property
    def row(self) -> Row:
        """The line of the table."""
        return Row(self.fault, self.runs, self.lost, self.recovered, self.note)
