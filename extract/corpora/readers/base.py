"""What a corpus reader gives: samples of each split, and where the corpus comes from.

One corpus or text format = one file with `CITATION`, `LICENCE`, `EXPECTED` (split -> tweets,
tokens and entities of the known copy, checked; empty where there is no fixed copy), `SPLIT_FILES`
(split -> file names to try; train, valid and test, or predict alone) and
`iter_samples(root, split, settings)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

VERSION = 1
"""Of all readers; raise it when the samples of a corpus change."""


@dataclass(frozen=True)
class TextSettings:
    """How to read the text of a corpus."""

    labels: bool = True
    """False reads one-column text, for prediction."""
    entity_types: tuple[str, ...] = ("PER", "LOC", "ORG", "MISC")
    """The legal types, after mapping."""
    type_map: Mapping[str, str] = field(default_factory=lambda: {"OTHER": "MISC"})
    """Type in the file -> type in the project."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Split -> file name, where it is not one of the usual ones."""
