"""Correlation-aware gate: how much of each image position the text gets to see.

Source: Wei et al. 2024, VEC-MNER, the correlation-aware module; a squeeze-and-excitation block (Hu
et al. 2018) over positions instead of channels.
"""

import torch
from torch import Tensor, nn

REDUCTION = 16
GATES = ("sigmoid", "softmax")


class CorrelationGate(nn.Module):
    """Scale each of M positions by a gate computed from the pooled channels of all positions.

    z = (E(mean) + E(max)) * E(soft), g = gate(C z), with one E = ReLU(A ...) for all three.

    Args:
        n_positions: M, fixed.
        gate: `sigmoid`, or `softmax` over the positions.
        pooling: kind of the soft pooling.
    """

    def __init__(self, n_positions: int, *, gate: str = "sigmoid", pooling: str = "standard"):
        super().__init__()
        if gate not in GATES:
            raise ValueError(f"gate must be one of {', '.join(GATES)}, got {gate!r}")
        self.gate, self.pooling = gate, pooling
        hidden = max(1, n_positions // REDUCTION)
        self.excitation = nn.Linear(n_positions, hidden)
        self.increase = nn.Linear(hidden, n_positions)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the scaled states; hidden positions become 0.

        Args:
            states: shape (B, M, D).
            mask: shape (B, M), bool, false on positions that are not there.
        """
        return states * self.gates(states, mask).to(states.dtype).unsqueeze(2)

    def gates(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the gate of each position, 0 where hidden. # shape: (B, M)"""
        # Sums of exponentials and a softmax want more than half precision.
        with torch.autocast(states.device.type, enabled=False):
            states = states.to(self.excitation.weight.dtype)
            mean, greatest = states.mean(dim=2), states.amax(dim=2)
            soft = soft_pool(states, mask, self.pooling)
            excited = self._excite(mean.masked_fill(~mask, 0.0))
            excited = excited + self._excite(greatest.masked_fill(~mask, 0.0))
            scores = self.increase(excited * self._excite(soft))
            if self.gate == "softmax":
                return scores.masked_fill(~mask, -torch.inf).softmax(dim=1)
            return scores.sigmoid().masked_fill(~mask, 0.0)

    def _excite(self, pooled: Tensor) -> Tensor:
        return self.excitation(pooled).relu()


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
