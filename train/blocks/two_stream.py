"""Layers of a BERT and of a CLIP tower taken apart, so that their keys and values can be exchanged.

A layer of either kind is used in three steps: project its states (`text_projections`,
`vision_projections`), replace or prefix the keys and values (`KeyValues`), finish the layer
(`text_update`, `vision_update`). Without a change in between this is the layer itself.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from train.blocks.attention import dot_product_attention


@dataclass(frozen=True)
class KeyValues:
    """What can be attended to: S positions, A heads of width d."""

    keys: Tensor
    """shape: (B, A, S, d)"""
    values: Tensor
    """shape: (B, A, S, d)"""
    bias: Tensor
    """shape: (B, S), added to the scores of every query; -inf hides a position."""

    def after(self, prefix: Self) -> Self:
        """Return these positions with others in front of them."""
        return type(self)(
            torch.cat([prefix.keys, self.keys], dim=2),
            torch.cat([prefix.values, self.values], dim=2),
            torch.cat([prefix.bias, self.bias], dim=1),
        )


def attend(query: Tensor, source: KeyValues, *, dropout: float = 0.0) -> Tensor:
    """Return softmax(Q K^T / sqrt(d) + bias) V with the heads merged.

    Args:
        query: shape (B, A, T, d).
        source: S positions, at least one of them visible.
        dropout: on the attention weights; 0 in evaluation.

    Returns:
        Shape (B, T, A * d).
    """
    bias = source.bias[:, None, None, :].to(query.dtype)
    return merge_heads(
        dot_product_attention(query, source.keys, source.values, bias, dropout=dropout)
    )


def mask_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where the mask is true and -inf elsewhere, shaped as the mask."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


def split_heads(states: Tensor, n_heads: int) -> Tensor:
    """Give each head its slice of the channels. # shape: (B, S, D) -> (B, A, S, D / A)"""
    return states.unflatten(2, (n_heads, -1)).transpose(1, 2)


def merge_heads(states: Tensor) -> Tensor:
    """Undo `split_heads`. # shape: (B, A, S, d) -> (B, S, A * d)"""
    return states.transpose(1, 2).flatten(2)


def text_layers(encoder: nn.Module) -> nn.ModuleList:
    """Return the layers of a BERT-type encoder (BERT, RoBERTa, XLM-R, MiniLM, ...).

    Raises:
        ConfigError: the encoder is built in another way.
    """
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if layers is None or not all(hasattr(x, "attention") and hasattr(x, "output") for x in layers):
        raise ConfigError(
            f"encoder: '{encoder.config.model_type}' is not built like BERT; the text stream needs "
            "a BERT, RoBERTa, XLM-R or MiniLM checkpoint."
        )
    return layers


def vision_layers(tower: nn.Module) -> nn.ModuleList:
    """Return the layers of a CLIP tower.

    Raises:
        ConfigError: the tower is another kind of vision model.
    """
    layers = getattr(getattr(tower, "encoder", None), "layers", None)
    if layers is None or not hasattr(tower, "pre_layrnorm"):
        raise ConfigError(
            f"vision: '{tower.config.model_type}' is not a CLIP vision tower; give a CLIPModel or "
            "CLIPVisionModel checkpoint."
        )
    return layers


def text_projections(layer: nn.Module, states: Tensor, bias: Tensor) -> tuple[Tensor, KeyValues]:
    """Return queries, and the keys and values, of one BERT layer.

    Args:
        layer: of `text_layers`.
        states: shape (B, T, D).
        bias: shape (B, T), on the layer's own keys.
    """
    attention = layer.attention.self
    query, keys, values = (
        split_heads(project(states), attention.num_attention_heads)
        for project in (attention.query, attention.key, attention.value)
    )
    return query, KeyValues(keys, values, bias)


def text_update(layer: nn.Module, states: Tensor, query: Tensor, source: KeyValues) -> Tensor:
    """Finish a BERT layer (post-norm). # shape: (B, T, D)"""
    attention = layer.attention
    dropout = attention.self.dropout.p if layer.training else 0.0
    attended = attention.output(attend(query, source, dropout=dropout), states)
    return layer.output(layer.intermediate(attended), attended)


def vision_projections(layer: nn.Module, states: Tensor, bias: Tensor) -> tuple[Tensor, KeyValues]:
    """Return queries, and the keys and values, of one CLIP layer (after its first layer norm).

    Args:
        layer: of `vision_layers`.
        states: shape (B, M, D).
        bias: shape (B, M), on the layer's own keys.
    """
    attention, normed = layer.self_attn, layer.layer_norm1(states)
    query, keys, values = (
        split_heads(project(normed), attention.num_heads)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return query, KeyValues(keys, values, bias)


def vision_update(layer: nn.Module, states: Tensor, query: Tensor, source: KeyValues) -> Tensor:
    """Finish a CLIP layer (pre-norm). # shape: (B, M, D)"""
    attention = layer.self_attn
    dropout = attention.dropout if layer.training else 0.0
    states = states + attention.out_proj(attend(query, source, dropout=dropout))
    return states + layer.mlp(layer.layer_norm2(states))


def add_uniform_noise(states: Tensor, alpha: float, length: int) -> Tensor:
    """Add uniform noise in +-alpha / sqrt(length * D) to embeddings.

    Args:
        states: shape (B, S, D).
        alpha: 0 adds nothing.
        length: of the sequence that decides the amplitude.

    Source: Jain et al. 2023, NEFTune: Noisy Embeddings Improve Instruction Finetuning.
    """
    if alpha == 0:
        return states
    bound = alpha / (length * states.shape[2]) ** 0.5
    return states + torch.empty_like(states).uniform_(-bound, bound)
