"""This module has names and shapes of published checkpoints, and draws tensors for them."""

from collections.abc import Mapping

import torch

Shapes = dict[str, tuple[int, ...]]

TINY = {"dim": 32, "inner": 64, "layers": 2, "heads": 4, "std": 0.2}
"""A text encoder for tests: width, inner width, layers, heads, spread of the weights."""

BASE = {"dim": 768, "inner": 3072, "layers": 12, "heads": 12, "std": 0.02}
"""A text encoder of the published base size."""


def linear(name: str, d_in: int, d_out: int) -> Shapes:
    """Return the shapes of a dense layer."""
    return {f"{name}.weight": (d_out, d_in), f"{name}.bias": (d_out,)}


def norm(name: str, dim: int) -> Shapes:
    """Return the shapes of a layer norm."""
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def bert_attention(name: str, dim: int, of: int | None = None) -> Shapes:
    """Return the shapes of BERT's attention over itself, or over states of width `of`."""
    of = of or dim
    return {
        **linear(f"{name}.self.query", dim, dim),
        **linear(f"{name}.self.key", of, dim),
        **linear(f"{name}.self.value", of, dim),
        **linear(f"{name}.output.dense", dim, dim),
        **norm(f"{name}.output.LayerNorm", dim),
    }


def bert_feed_forward(name: str, dim: int, inner: int) -> Shapes:
    """Return the shapes of the second half of a BERT layer."""
    return {
        **linear(f"{name}.intermediate.dense", dim, inner),
        **linear(f"{name}.output.dense", inner, dim),
        **norm(f"{name}.output.LayerNorm", dim),
    }


def bert_network(
    prefix: str, *, vocab: int, positions: int, types: int, dim: int, inner: int, layers: int
) -> Shapes:
    """Return the shapes of embeddings and layers of a BERT-type encoder, without pooler."""
    found: Shapes = {
        f"{prefix}embeddings.word_embeddings.weight": (vocab, dim),
        f"{prefix}embeddings.position_embeddings.weight": (positions, dim),
        f"{prefix}embeddings.token_type_embeddings.weight": (types, dim),
        **norm(f"{prefix}embeddings.LayerNorm", dim),
    }
    for layer in range(layers):
        name = f"{prefix}encoder.layer.{layer}"
        found |= bert_attention(f"{name}.attention", dim) | bert_feed_forward(name, dim, inner)
    return found


def clip_layers(prefix: str, *, dim: int, inner: int, layers: int) -> Shapes:
    """Return the shapes of the layers of one of CLIP's towers."""
    found: Shapes = {}
    for layer in range(layers):
        name = f"{prefix}encoder.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            found |= linear(f"{name}.self_attn.{part}", dim, dim)
        found |= norm(f"{name}.layer_norm1", dim) | norm(f"{name}.layer_norm2", dim)
        found |= linear(f"{name}.mlp.fc1", dim, inner) | linear(f"{name}.mlp.fc2", inner, dim)
    return found


def draw(shapes: Mapping[str, tuple[int, ...]], seed: int, std: float) -> dict[str, torch.Tensor]:
    """Return normal tensors of these shapes, float32; scales of layer norms are about 1.

    Args:
        shapes: by name.
        seed: the same numbers for the same seed, names and shapes.
        std: of the numbers. About 0.02 is usual; wide ones make tiny networks tell words apart.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        found[name] = torch.randn(shape, generator=generator).mul_(std)
        if _is_scale(name):
            found[name] += 1
    return found


def _is_scale(name: str) -> bool:
    *_, owner, kind = ("", *name.split("."))
    return kind == "weight" and "norm" in owner.lower().replace("layrnorm", "norm")
