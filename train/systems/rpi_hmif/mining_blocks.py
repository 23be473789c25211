"""The two cross-attention blocks of RPI-HMIF and what they are made of.

Both attend from one sequence to another; they differ in where the normalisation stands. Published
is that such blocks exist; their exact form is from released code (an earlier state of the model).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), CLIP's activation."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation, shaped as the input."""
        return x * torch.sigmoid(1.702 * x)


class RMSNorm(nn.Module):
    """Divide by the root mean square over the channels, in float32 or better; then a learned gain.

    Source: Zhang and Sennrich 2019, Root Mean Square Layer Normalization.
    """

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., D)."""
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + self.eps)
        return (exact * scale).to(x.dtype) * self.weight


class CrossAttention(nn.Module):
    """Multi-head attention from one sequence to another, without output projection.

    Args:
        dim: D of both sequences.
        heads: number of heads; divides `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, queries: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to the source positions that the mask shows.

        Args:
            queries: shape (B, Q, D).
            source: keys and values, shape (B, S, D).
            mask: shape (B, S) or (1, S), bool.

        Returns:
            What was read, shape (B, Q, D), and the weights averaged over the heads, shape
            (B, Q, S); both are zero for a sample whose keys are all masked.
        """
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, source), (self.value, source))
        )  # shape: (B, heads, Q or S, D / heads)
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        hidden = ~mask[:, None, None, :]
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        # A row without any key would spread its weight over the masked ones.
        weights = scores.softmax(dim=3).masked_fill(hidden, 0.0)
        read = (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)  # shape: (B, Q, D)
        return read, weights.mean(dim=1)


class PostNormBlock(nn.Module):
    """Block X: attention and feed-forward, each normalised after its residual sum.

    `U = RMS(Q + Drop(W_o MHA(Q, S)))`, `out = RMS(U + Drop(W_2 gelu(W_1 U)))`. From released code.

    Args:
        dim: D; the feed-forward layer is four times as wide.
        heads: of the attention.
        dropout: on both residual branches.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = CrossAttention(dim, heads)
        self.output = nn.Linear(dim, dim)
        self.attention_norm, self.output_norm = RMSNorm(dim), RMSNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return states (B, Q, D) and head-averaged weights (B, Q, S); see `CrossAttention`."""
        read, weights = self.attention(queries, source, mask)
        states = self.attention_norm(queries + self.dropout(self.output(read)))
        hidden = self.narrow(functional.gelu(self.widen(states)))
        return self.output_norm(states + self.dropout(hidden)), weights


class ResidualBlock(nn.Module):
    """Block Y: attention added as it is, then a normalised feed-forward branch.

    `U = Q + MHA(Q, S)` without output projection, `out = U + W_2 qgelu(W_1 RMS(U))`. From released
    code.

    Args:
        dim: D; the feed-forward layer is four times as wide.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttention(dim, heads)
        self.norm = RMSNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.activation = QuickGELU()

    def forward(self, queries: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return states (B, Q, D) and head-averaged weights (B, Q, S); see `CrossAttention`."""
        read, weights = self.attention(queries, source, mask)
        states = queries + read
        return states + self.narrow(self.activation(self.widen(self.norm(states)))), weights


class TokenMixer(nn.Module):
    """Turn n positions into L: a linear map over positions, a layer norm, another linear map.

    Both sequences must be padded to a fixed length. From released code; that masked positions are
    set to zero first is our reconstruction.

    Args:
        n_in: positions of the input.
        n_out: L.
        dim: D.
    """

    def __init__(self, n_in: int, n_out: int, dim: int) -> None:
        super().__init__()
        self.gather = nn.Linear(n_in, n_out)
        self.norm = nn.LayerNorm(dim)
        self.mix = nn.Linear(n_out, n_out)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Mix states (B, n, D), mask (B or 1, n). # shape: (B, L, D)"""
        # Not a product: what stands at a masked position must not even be a NaN times 0.
        kept = states.masked_fill(~mask.unsqueeze(2), 0.0)
        gathered = self.gather(kept.transpose(1, 2)).transpose(1, 2)  # shape: (B, L, D)
        return self.mix(self.norm(gathered).transpose(1, 2)).transpose(1, 2)
