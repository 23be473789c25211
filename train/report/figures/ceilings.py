"""Scores that a reader of only some evidence can reach at most."""

from collections.abc import Sequence
from dataclasses import dataclass

from extract.core.errors import ConfigError


@dataclass(frozen=True)
class Ceiling:
    """A score that a reader of only some evidence can reach at most."""

    dataset: str
    """Empty for every dataset."""
    label: str
    f1: float
    """Percent."""


def parse_ceilings(texts: Sequence[str]) -> list[Ceiling]:
    """Return the ceilings of `--ceiling [DATASET:]LABEL=F1` arguments.

    Raises:
        ConfigError: not of this form, or not a percentage.
    """
    ceilings = []
    for text in texts:
        name, separator, number = text.rpartition("=")
        dataset, _, label = name.rpartition(":")
        try:
            f1 = float(number)
        except ValueError:
            f1 = -1.0
        if not separator or not label or not 0 <= f1 <= 100:
            raise ConfigError(
                f"--ceiling {text}: expected [DATASET:]LABEL=F1 in percent, e.g. sample:words=54."
            )
        ceilings.append(Ceiling(dataset, label, f1))
    return ceilings
