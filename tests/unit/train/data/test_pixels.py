"""Stored bytes to normalised images, missing rows and wrong sizes."""

import numpy as np
import pytest
import torch

from extract.core.errors import ShapeError
from extract.networks.pixels import CLIP_MEAN, CLIP_STD
from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from train.data.examples import Example
from train.data.pixels import pixel_batch

SIZE = 4
MISSING = StoredItem(status=STATUS["missing"], features=np.zeros((0, SIZE * SIZE * 3), np.uint8))


def squares(n: int, seed: int = 0) -> np.ndarray:
    """n random squares. # shape: (n, SIZE, SIZE, 3)"""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def example(pixels: np.ndarray | None) -> Example:
    item = MISSING
    if pixels is not None:
        item = StoredItem(status=STATUS["ok"], features=pixels.reshape(len(pixels), -1))
    return Example(Sample("s1", "photo-7", ["a"], None), {"crops": item})


def test_values_and_channel_order():
    pixels = squares(2)
    images, present = pixel_batch([example(pixels)], "crops", 2, SIZE)
    assert images.shape == (1, 2, 3, SIZE, SIZE) and images.dtype == torch.float32
    assert present.tolist() == [[True, True]]
    for row, y, x, channel in ((0, 1, 2, 0), (1, 3, 0, 2), (1, 0, 3, 1)):
        value = (int(pixels[row, y, x, channel]) / 255 - CLIP_MEAN[channel]) / CLIP_STD[channel]
        assert images[0, row, channel, y, x].item() == pytest.approx(value, abs=1e-6)


def test_fewer_rows_missing_items_and_rows_beyond():
    batch = [example(squares(1)), example(None), example(squares(5))]
    images, present = pixel_batch(batch, "crops", 3, SIZE)
    assert present.tolist() == [[True, False, False], [False] * 3, [True] * 3]
    assert (images[~present] == 0).all() and (images[present] != 0).all()
    first_three, _ = pixel_batch([example(squares(5)[:3])], "crops", 3, SIZE)
    assert torch.equal(images[2], first_three[0])


def test_a_mean_coloured_image_is_near_zero_but_present():
    grey = np.full((1, SIZE, SIZE, 3), 51, np.uint8)
    images, present = pixel_batch([example(grey)], "crops", 1, SIZE, (0.2,) * 3, (0.5,) * 3)
    assert images.abs().max() < 1e-6 and present.all()


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((1, (SIZE + 1) ** 2 * 3), np.uint8),
        np.zeros((1, SIZE * SIZE * 3), np.float32),
        None,
    ],
)
def test_another_size_or_kind_is_an_error_with_the_image_id(rows):
    wrong = Example(
        Sample("s1", "photo-7", ["a"], None), {"crops": StoredItem(STATUS["ok"], features=rows)}
    )
    with pytest.raises(ShapeError, match=r"image photo-7: expected uint8 rows of 4 x 4 x 3"):
        pixel_batch([wrong], "crops", 1, SIZE)


def test_stored_rows_are_not_changed():
    pixels = squares(1)
    before = pixels.copy()
    pixel_batch([example(pixels)], "crops", 1, SIZE)
    assert (pixels == before).all()
