"""Where a region lies in its image, as six numbers from 0 to 1; computed when asked, never stored.

Source: Zhang et al. 2021, VinVL: Revisiting Visual Representations in Vision-Language Models;
Li et al. 2020, Oscar: Object-Semantics Aligned Pre-training, sec. 3 (region position features).
"""

from typing import TYPE_CHECKING

import numpy as np

from extract.core.errors import ShapeError, StoreError

if TYPE_CHECKING:
    from extract.store import FeatureStore


def region_geometry(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return x1/W, y1/H, x2/W, y2/H, (x2 - x1)/W, (y2 - y1)/H of each box.

    Args:
        boxes: shape (R, 4), `xyxy`, pixels of the upright image.
        height: H of the image in pixels.
        width: W of the image in pixels.

    Returns:
        Shape (R, 6), float32.

    Raises:
        ShapeError: boxes is not (R, 4), or the image has no pixels.
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or height < 1 or width < 1:
        raise ShapeError(
            f"region geometry: expected boxes of shape (R, 4) in an image with pixels, got "
            f"{boxes.shape} in {height} x {width}"
        )
    corners = boxes / (width, height, width, height)
    sizes = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners, sizes], axis=1).astype(np.float32)


def read_oscar_regions(
    store: "FeatureStore", image_id: str, *, max_regions: int | None = None
) -> np.ndarray:
    """Return the regions of an image as Oscar and VinVL read them: features, then geometry.

    Args:
        store: with features and boxes, best region first.
        image_id: of the image.
        max_regions: the most regions, None means all; Oscar's captioner reads 50.

    Returns:
        Shape (R, D + 6), float32; D + 6 is 2054 with the usual 2048 features. An image without
        regions gives R = 0.

    Raises:
        StoreError: the store has no features or no boxes.
    """
    item = store.item(image_id)
    if item.features is None or item.boxes is None:
        raise StoreError(
            f"{store.path}: has no {'features' if item.features is None else 'boxes'}; regions "
            "need both. Give the store of a region extractor."
        )
    features = item.features.astype(np.float32)
    if not item.n_rows:
        return np.zeros((0, features.shape[1] + 6), np.float32)
    geometry = region_geometry(item.boxes, *store.image_size(image_id))
    return np.concatenate([features, geometry], axis=1)[:max_regions]
