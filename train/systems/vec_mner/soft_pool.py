"""Soft pooling over channels: a mean in which each channel weighs as much as its exponential."""

import torch
from torch import Tensor

KINDS = ("standard", "cross_position")


def soft_pool(states: Tensor, mask: Tensor, kind: str = "standard") -> Tensor:
    """Pool each position's channels.

    Args:
        states: shape (B, S, D); S positions.
        mask: shape (B, S), bool; a hidden position influences nothing.
        kind: `standard`, with the weights softmax_i(x_ji) of the position itself; or
            `cross_position`, with one weight a channel, the exponential summed over positions,
            and negative results raised to 0: what the pooling's public non-CUDA path computes.

    Returns:
        Shape (B, S), 0 at hidden positions.

    Source: Stergiou et al. 2021, Refining Activation Downsampling with SoftPool, eq. 2.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "standard":
        pooled = (states * states.softmax(dim=2)).sum(dim=2)
        return pooled.masked_fill(~mask, 0.0)
    visible = states.masked_fill(~mask.unsqueeze(2), -torch.inf)
    # The exponentials share one factor, which cancels: without it they overflow.
    shift = visible.detach().amax(dim=(1, 2), keepdim=True)
    weights = (visible - shift).exp().sum(dim=1, keepdim=True)  # shape: (B, 1, D)
    pooled = (states * weights).sum(dim=2) / weights.sum(dim=2)
    return pooled.clamp(min=0.0).masked_fill(~mask, 0.0)
