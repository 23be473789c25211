"""Contrastive loss between the two sides of a batch of pairs."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDENING = 4  # hidden width of a head, in input widths


class PairedContrast(nn.Module):
    """Two heads and a learned temperature: each image should be closest to its own text.

    Args:
        vision_dim: channels of an image vector.
        text_dim: channels of a text vector.
        dim: of the common space.
        temperature: where it starts.
        normalized: compare directions; else raw scalar products.

    Source: van den Oord et al. 2018 (InfoNCE), in both directions as in Radford et al. 2021.
    """

    def __init__(
        self, *, vision_dim: int, text_dim: int, dim: int, temperature: float, normalized: bool
    ) -> None:
        super().__init__()
        self.vision, self.text = _head(vision_dim, dim), _head(text_dim, dim)
        self.temperature = nn.Parameter(torch.tensor(temperature))
        self.normalized = normalized

    def forward(self, vision: Tensor, text: Tensor, present: Tensor) -> Tensor:
        """Return the loss, the sum of both directions.

        Args:
            vision: shape (B, vision_dim).
            text: shape (B, text_dim).
            present: shape (B,), bool; pairs without an image take no part.
        """
        image, words = self.vision(vision[present]), self.text(text[present])
        if self.normalized:
            image, words = functional.normalize(image, dim=1), functional.normalize(words, dim=1)
        return info_nce(image, words, self.temperature)


def info_nce(left: Tensor, right: Tensor, temperature: Tensor | float) -> Tensor:
    """Return the cross-entropy of finding the partner, summed over both directions.

    Args:
        left: shape (M, D).
        right: shape (M, D), row i the partner of row i.
        temperature: divides the scalar products.

    Returns:
        A scalar, the mean over pairs of each direction; 0 for one pair and for none.
    """
    scores = left @ right.T / temperature  # shape: (M, M)
    matched = scores.diagonal()
    misses = scores.logsumexp(dim=1) + scores.logsumexp(dim=0) - 2 * matched
    return misses.sum() / max(1, len(misses))


def _head(width: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, WIDENING * width), nn.Tanh(), nn.Linear(WIDENING * width, dim)
    )
