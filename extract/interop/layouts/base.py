"""What every layout offers: a corpus of ours -> the folder that another project reads unmodified.

One layout = one file of this folder with `HELP`, `NEEDS` and `TAKES` (names of `Corpus` fields and
store roles without which, or with which, it works), a frozen dataclass `Options` and
`export(corpus, out, options) -> counts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from extract.crops import Crop
from extract.manifest import ImageRow, Sample
from extract.store import FeatureStore


@dataclass(frozen=True)
class CropFolder:
    """A folder of crops with its `crops.jsonl`."""

    path: Path
    crops: Sequence[Crop]
    """Lines of `crops.jsonl`."""


@dataclass(frozen=True)
class Corpus:
    """Everything that a layout may write."""

    name: str
    """As the project's file names have it, e.g. `twitter2015`."""
    samples: Mapping[str, Sequence[Sample]]
    """Split (`train`, `valid`, `test`) -> samples in order."""
    images: Mapping[str, ImageRow]
    """Image id -> its line of images.tsv."""
    crops: CropFolder | None = None
    """Crops of the noun phrases (visual grounding)."""
    detector_crops: CropFolder | None = None
    """Crops of a closed-vocabulary detector."""
    stores: Mapping[str, FeatureStore] = field(default_factory=dict)
    """Role (`captions`, `objects`, `ocr`, ...) -> open store."""
