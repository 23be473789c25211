"""The evaluated runs behind a report: scores by slice and predictions, one entry a seed."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.comparing.results import SeedResult, read_results

Scores = dict[str, Any]


@dataclass(frozen=True)
class System:
    """The seeds of one system and variant on one dataset."""

    dataset: str
    name: str
    variant: str
    seeds: tuple[SeedResult, ...]

    @property
    def label(self) -> str:
        """System and variant, as the tables name them."""
        return f"{self.name}/{self.variant}"

    def scores(self, kind: str) -> list[Scores]:
        """Return the scores on a slice, one entry a seed that has it."""
        return [seed.slices[kind] for seed in self.seeds if kind in seed.slices]


def read_systems(paths: Sequence[Path]) -> list[System]:
    """Return what metrics.json files tell, in the order of the tables.

    Raises:
        MissingFileError: no such file.
        DataError: a run and seed is given twice.
    """
    groups = read_results(list(map(Path, paths)))
    return [System(*group, tuple(seeds)) for group, seeds in groups.items()]


def datasets_of(systems: Iterable[System]) -> list[str]:
    """Return the datasets in order of appearance."""
    return list(dict.fromkeys(system.dataset for system in systems))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation, which is NaN with fewer than two values."""
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.fmean(values), sd
