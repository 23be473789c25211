"""Correlation-aware gate: how much of each image position the text gets to see.

Source: Wei et al. 2024, VEC-MNER, the correlation-aware module; a squeeze-and-excitation block (Hu
et al. 2018) over positions instead of channels.
"""

import torch
from torch import Tensor, nn

from train.systems.vec_mner.soft_pool import soft_pool

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
