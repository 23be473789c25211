"""Scaled dot-product attention by the fastest way for device and precision."""

import torch
from torch import Tensor
from torch.nn import functional


def dot_product_attention(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None, *, dropout: float = 0.0
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d) + bias) V.

    In bfloat16 on a CPU, torch's fused kernel takes four times as long as three plain operations
    (forward and backward, 8 x 12 heads, 40 queries, 90 keys); elsewhere it is the fastest.

    Args:
        query: shape (B, A, T, d).
        keys: shape (B, A, S, d).
        values: shape (B, A, S, d).
        bias: added to the scores, broadcastable to (B, A, T, S); -inf hides a position.
        dropout: on the attention weights; 0 in evaluation.

    Returns:
        Shape (B, A, T, d).
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=bias, dropout_p=dropout
        )
    scores = (query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    weights = functional.dropout(scores.softmax(dim=-1, dtype=torch.float32), dropout)
    return weights.to(values.dtype) @ values
