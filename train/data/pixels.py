"""Stored pixels on their way to an image tower: uint8 rows -> normalised channels-first images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from extract.core.errors import ShapeError
from extract.networks.pixels import CLIP_MEAN, CLIP_STD, normalize
from train.data.examples import Example


def pixel_batch(
    examples: Sequence[Example],
    role: str,
    n_rows: int,
    size_px: int,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
) -> tuple[Tensor, Tensor]:
    """Return the first `n_rows` squares of each example, (pixel / 255 - mean) / std.

    Args:
        examples: with an item of that role, ok or not.
        role: which `pixels` store.
        n_rows: R; 1 for whole images.
        size_px: side of the stored squares.
        mean: of the RGB channels, 0-1.
        std: likewise.

    Returns:
        Images, shape (B, R, 3, size_px, size_px), float32, and which of them there are, shape
        (B, R), bool. A row that is missing is zero and must be masked: it is no stand-in.

    Raises:
        ShapeError: the store holds squares of another size, or no bytes.
    """
    side = (size_px, size_px, 3)
    pixels = torch.zeros((len(examples), n_rows, *side), dtype=torch.uint8)
    present = torch.zeros((len(examples), n_rows), dtype=torch.bool)
    for b, example in enumerate(examples):
        if example.items[role].is_ok:
            rows = _stored_rows(example, role, size_px)[:n_rows]
            pixels[b, : len(rows)] = torch.from_numpy(rows).view(-1, *side)
            present[b, : len(rows)] = True
    images = pixels.flatten(0, 1).permute(0, 3, 1, 2).float()  # shape: (B * R, 3, H, W)
    images = normalize(images, mean, std).contiguous()
    images[~present.flatten()] = 0
    return images.unflatten(0, present.shape), present


def _stored_rows(example: Example, role: str, size_px: int) -> np.ndarray:
    """Return the flat squares of an ok item, shape (R, size_px * size_px * 3), uint8."""
    rows = example.items[role].features
    wanted = size_px * size_px * 3
    if rows is None or rows.ndim != 2 or rows.shape[1] != wanted or rows.dtype != np.uint8:
        got = "no features" if rows is None else f"{rows.dtype} rows of {rows.shape[1:]}"
        raise ShapeError(
            f"image {example.sample.image_id}: expected uint8 rows of {size_px} x {size_px} x 3 "
            f"= {wanted} pixels values, got {got}. The role '{role}' needs a feature set of the "
            f"extractor `pixels` with size: {size_px}."
        )
    return rows
