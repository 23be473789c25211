"""The arrays that both towers of the sample learn from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TowerInputs:
    """N drawings with R telling or neutral objects in all."""

    pictures: np.ndarray
    """shape (N, 3, 56, 56), uint8: whole pictures behind the leading poolings of the VGG tower."""
    kinds: np.ndarray
    """shape (N, classes), float32: each class's share among a picture's objects."""
    crops: np.ndarray
    """shape (R, 64, 64, 3), uint8: the objects cut out, as stores of pixels hold them."""
    labels: np.ndarray
    """shape (R,), int64: class of each crop."""
