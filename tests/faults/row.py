"""One line of the table that `make faults` prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What one kind of fault did to the pipeline."""

    fault: str
    runs: int
    """Times the fault was made; 0 where it could not be."""
    lost: int | None
    """Most rows (or epochs, as `note` says) that any of the runs had to compute again; None where
    nothing is counted."""
    recovered: int
    """Runs after which every check held."""
    note: str = ""
    """Units, what failed, or why the fault was not made."""
    wanted: int = 0
    """Least number of runs; 0 where one that cannot be made is no failure."""
    missed: int = 0
    """Attempts that ended before the fault came; they are not among the runs."""

    @property
    def is_ok(self) -> bool:
        """True when all wanted runs were made and every run recovered."""
        return self.recovered == self.runs >= self.wanted

    @property
    def is_skipped(self) -> bool:
        """True when the fault could not be made here."""
        return not (self.runs or self.wanted)

    @property
    def text(self) -> str:
        """The note, what is lacking, and the attempts that came too late."""
        lacking = f"{self.runs} of {self.wanted} runs" if self.runs < self.wanted else ""
        missed = f"{self.missed} more ended before the fault" if self.missed else ""
        return "; ".join(filter(None, (self.note, lacking, missed)))

    def plus(self, other: "Row") -> "Row":
        """Add the runs of another round; the note of a failure is kept."""
        counted = [row.lost for row in (self, other) if row.lost is not None]
        return Row(
            fault=self.fault,
            runs=self.runs + other.runs,
            lost=max(counted, default=None),
            recovered=self.recovered + other.recovered,
            note=other.note if self.is_ok else self.note,
            wanted=self.wanted + other.wanted,
            missed=self.missed + other.missed,
        )


def skipped(fault: str, why: str) -> Row:
    """Return the row of a fault that cannot be made here."""
    return Row(fault, 0, None, 0, f"not run: {why}")
