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
        wanted: runs without which the row is a failure.
    """

    def __init__(self, fault: str, unit: str = "", wanted: int = 0) -> None:
        self.fault, self.note, self.wanted = fault, unit, wanted
        self.runs = self.recovered = self.missed = 0
        self.lost: int | None = None

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

    def miss(self) -> None:
        """Count an attempt that ended before the fault came."""
        self.missed += 1

    def lose(self, count: int | None) -> None:
        """Note what had to be computed again; None where nothing is counted."""
        if count is not None:
            self.lost = max(self.lost or 0, count)

    @property
    def row(self) -> Row:
        """The line of the table."""
        return Row(
            self.fault,
            self.runs,
            self.lost,
            self.recovered,
            self.note,
            wanted=self.wanted,
            missed=self.missed,
        )
