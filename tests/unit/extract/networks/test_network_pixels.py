"""Bytes to normalised network input: the stated formula, channels last, no rounding differences."""

import numpy as np
import pytest
import torch

from extract.networks.pixels import network_input, normalize

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


@pytest.fixture
def squares() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (8, 12, 3), dtype=np.uint8) for _ in range(2)]


def test_normalize_is_the_stated_formula_to_the_last_bit(squares: list[np.ndarray]) -> None:
    result = normalize(network_input(squares, "cpu"), MEAN, STD)
    pixels = np.stack(squares).astype(np.float32)
    expected = (pixels / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    assert result.shape == (2, 3, 8, 12) and result.dtype == torch.float32
    assert np.array_equal(result.numpy(), expected.transpose(0, 3, 1, 2))


def test_pixels_stay_channels_last_and_the_squares_unchanged(squares: list[np.ndarray]) -> None:
    before = [square.copy() for square in squares]
    result = normalize(network_input(squares, "cpu"), MEAN, STD)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert all(np.array_equal(a, b) for a, b in zip(squares, before, strict=True))
