"""Contrastive loss between tweets and pictures, each pooled to its maxima, without projection."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.blocks.paired_contrast import info_nce

LOGIT_SCALE = math.log(1 / 0.07)
MAX_SCALE = 100.0
"""CLIP's initial logit scale, a logarithm, and greatest scale (Radford et al. 2021)."""
SCALES = ("raw_frozen", "exp_learned")


class PooledContrast(nn.Module):
    """Cross-entropy of finding the partner by cosine, the mean of both directions.

    Args:
        text_dim: channels of the text.
        vision_dim: channels of the pictures; where it differs, a learned map leads to `text_dim`.
        scale: of the cosines. `raw_frozen`: the constant ln(1 / 0.07); `exp_learned`: CLIP's
            form, its learned exponential.

    Source: Wei et al. 2024, VEC-MNER; van den Oord et al. 2018 (InfoNCE).
    """

    def __init__(self, text_dim: int, vision_dim: int, *, scale: str = "raw_frozen") -> None:
        super().__init__()
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self.is_learned = scale == "exp_learned"
        same = text_dim == vision_dim
        self.to_text = nn.Identity() if same else nn.Linear(vision_dim, text_dim)
        if self.is_learned:
            self.logit_scale = nn.Parameter(torch.tensor(LOGIT_SCALE))
        else:
            self.register_buffer("logit_scale", torch.tensor(LOGIT_SCALE))

    def forward(
        self, text: Tensor, text_mask: Tensor, vision: Tensor, vision_mask: Tensor
    ) -> Tensor:
        """Return the loss of a batch, 0 for one pair and for none.

        Args:
            text: shape (B, L, D).
            text_mask: shape (B, L), bool, positions that are pooled.
            vision: shape (B, M, D').
            vision_mask: shape (B, M), bool.
        """
        # Half precision is too coarse for cosines.
        with torch.autocast(text.device.type, enabled=False):
            dtype = self.logit_scale.dtype
            words = masked_max(text.to(dtype), text_mask)
            images = self.to_text(masked_max(vision.to(dtype), vision_mask))
            scale = self.logit_scale
            if self.is_learned:
                scale = scale.exp().clamp(max=MAX_SCALE)
            words, images = functional.normalize(words), functional.normalize(images)
            return info_nce(words, images, 1 / scale) / 2


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Return each channel's maximum over the visible positions.

    Args:
        states: shape (B, S, D).
        mask: shape (B, S), bool, true somewhere in each row.

    Returns:
        Shape (B, D).
    """
    return states.masked_fill(~mask.unsqueeze(2), -torch.inf).amax(dim=1)
