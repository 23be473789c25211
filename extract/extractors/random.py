"""Cheap, reproducible features without weights, for tests and load tests; they carry no meaning."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from extract.extractors import base
from extract.images.decode import to_array
from extract.tables.rows import Item, ItemFeatures, Outputs

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    dim: int = 16
    """Values a row."""
    rows: int = 1
    """Rows an image."""
    seed: int = 0
    """Another seed gives other values."""
    source: Literal["id", "pixels"] = "pixels"
    """What the values depend on besides the seed: the image's id or its decoded pixels."""
    dtype: Literal["float16", "float32"] = "float16"
    """Of the stored features."""

    def __post_init__(self) -> None:
        if self.dim < 1 or self.rows < 1:
            raise ValueError(f"dim and rows must be at least 1, got {self.dim} and {self.rows}")


class Extractor(base.Extractor):
    """Standard normal values from a hash."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if options.source == "id":
            self.needs = frozenset({"image", "id"})

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """`rows` rows of `dim` values."""
        return Outputs(feature_dim=options.dim, feature_dtype=options.dtype)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the same rows for the same seed and image, in whatever batch."""
        return [ItemFeatures(features=self._rows(item)) for item in batch]

    def _rows(self, item: Item) -> np.ndarray:
        if self.options.source == "id":
            content = item.image_id.encode()
        else:
            content = repr(item.image.size).encode() + to_array(item.image).tobytes()
        key = hashlib.sha256(f"{self.options.seed}:".encode() + content).digest()
        generator = np.random.default_rng(int.from_bytes(key, "big"))
        shape = (self.options.rows, self.options.dim)
        return generator.standard_normal(shape).astype(self.options.dtype)
