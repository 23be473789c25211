"""Pixels of the whole image or of its grounding crops, for models that train their own tower.

Rows are RGB uint8, HWC, flattened, after orientation, resize and centre crop; consumers normalise.
Row j of an item is crop j of the grounding store: every box gives exactly one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from extract.extractors import base
from extract.images.decode import (
    FilterName,
    Rounding,
    center_crop,
    clip_box,
    resize_exact,
    resize_shorter_side,
    to_array,
)
from extract.tables.rows import Item, ItemFeatures, Outputs, nothing_found

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    size: int = 224
    """Side in px of the stored square."""
    of: Literal["image", "crops"] = "image"
    """`image`: one row, the whole image; `crops`: one row a box of the grounding store."""
    resize: Literal["shorter_side", "exact"] = "shorter_side"
    """`shorter_side`: keep the aspect ratio, then cut the middle square; `exact`: squeeze."""
    shorter_side: int | None = None
    """Length in px of the shorter side before the centre crop; None means `size`."""
    resample: FilterName = "bicubic"
    """Filter of the resize; both antialias."""
    crop_rounding: Rounding = "floor"
    """Of an odd margin of the centre crop: `floor` (CLIP) or `half_even` (torchvision)."""
    max_crops: int | None = 3
    """How many boxes are cut, best first; models take the first 3. None means all."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")
        if self.max_crops is not None and self.max_crops < 1:
            raise ValueError(f"max_crops must be at least 1 or null, got {self.max_crops}")
        if self.shorter_side is not None and self.resize == "exact":
            raise ValueError("shorter_side has no meaning with resize: exact")
        if self.shorter_side is not None and self.shorter_side < self.size:
            raise ValueError(
                f"shorter_side must be at least size ({self.size}), got {self.shorter_side}"
            )


class Extractor(base.Extractor):
    """Pixels as features; loads no weights."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if options.of == "crops":
            self.needs = frozenset({"image", "boxes"})

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Rows of size * size * 3 bytes."""
        shape = (options.size, options.size, 3)
        return Outputs(feature_dim=options.size**2 * 3, feature_dtype="uint8", item_shape=shape)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return one row an image, or one row a box in the order of the boxes."""
        return [self.prepared(item) for item in batch]

    def prepare(self, item: Item) -> ItemFeatures:
        """Do all the work where the image was decoded."""
        if self.options.of == "image":
            return ItemFeatures(features=self._row(item.image)[None])
        boxes = [] if item.boxes is None else item.boxes[: self.options.max_crops]
        if not len(boxes):
            return nothing_found("no box in the grounding store", self.outputs(self.options))
        crops = [item.image.crop(clip_box(box, *item.image.size)) for box in boxes]
        return ItemFeatures(features=np.stack([self._row(crop) for crop in crops]))

    def _row(self, image: Image.Image) -> np.ndarray:
        """Return one flattened square, shape (size * size * 3,), uint8."""
        options = self.options
        if options.resize == "exact":
            square = resize_exact(image, (options.size, options.size), resample=options.resample)
        else:
            side_px = options.shorter_side or options.size
            square = center_crop(
                resize_shorter_side(image, side_px, resample=options.resample),
                options.size,
                rounding=options.crop_rounding,
            )
        return to_array(square).reshape(-1)
