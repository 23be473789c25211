"""Mean and variance of image channels, fitted on the training images."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn


class ChannelStandardizer(nn.Module):
    """Shift and scale each channel to mean 0 and variance 1 over what it was fitted on.

    The features of an untrained or mismatched network differ little between images (cosine above
    0.9); what differs is visible only once each channel is centred.

    Args:
        channels: D of the rows.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def fit(self, blocks: Iterable[np.ndarray]) -> None:
        """Set mean and standard deviation; without any row both stay as they are.

        Args:
            blocks: arrays of shape (R, D), any float type, R free.
        """
        count, total, squares = 0, 0.0, 0.0
        for block in blocks:
            rows = block.astype(np.float64)
            count += len(rows)
            total = total + rows.sum(axis=0)
            squares = squares + (rows**2).sum(axis=0)
        if not count:
            return
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        # A channel that never varies is shifted only: dividing would blow up rounding noise.
        std[std < 1e-6] = 1
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    def forward(self, rows: Tensor) -> Tensor:
        """Return standardised rows. # shape: (..., D)"""
        return (rows - self.mean) / self.std
