"""One line of the table that `make faults` prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What one kind of fault did to the pipeline."""

    fault: str
    runs: int
    """Times the fault was made; 0 where it could not be."""
    lost: int
    """Most rows (or epochs, as `note` says) that any of the runs had to compute again."""
    recovered: int
    """Runs after which every check held."""
    note: str = ""
    """Units, what failed, or `not run: <why>`."""

    @property
    def is_ok(self) -> bool:
        """True when every run recovered; a fault that could not be made is no failure."""
        return self.recovered == self.runs

    def plus(self, other: "Row") -> "Row":
        """Add the runs of another round; the note of a failure is kept."""
        return Row(
            fault=self.fault,
            runs=self.runs + other.runs,
            lost=max(self.lost, other.lost),
            recovered=self.recovered + other.recovered,
            note=other.note if self.is_ok else self.note,
        )
