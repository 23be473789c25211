"""Rows of keys, values and queries for every text layer, made from image states."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNKS = 4
"""Neighbouring tokens that a gate mixes into one row."""


class LevelPrompts(nn.Module):
    """Key and value rows from the states of all levels of an image tower.

    The states of all levels lie in one line, level by level, which is cut into equal rows; a row
    may begin in the middle of a token.

    Args:
        size: numbers of one image: levels x tokens x channels; a multiple of `rows`.
        rows: R an image.
        hidden: width between the two linear layers.
        n_layers: N text layers.
        dim: H of the text encoder.

    Raises:
        ValueError: the line does not divide into rows.

    Source: Chen et al. 2022, HVPNeT (projection of visual features to per-layer prefixes), with
        Co-MIPN's 13 levels of CLIP.
    """

    def __init__(self, *, size: int, rows: int, hidden: int, n_layers: int, dim: int) -> None:
        super().__init__()
        if size % rows:
            raise ValueError(f"{size} image values do not divide into {rows} rows")
        self.rows, self.n_layers = rows, n_layers
        self.network = nn.Sequential(
            nn.Linear(size // rows, hidden), nn.Tanh(), nn.Linear(hidden, 2 * n_layers * dim)
        )

    def cut(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Return the rows before the projection.

        Args:
            levels: the states of each level, shape (M, tokens, channels) each.

        Returns:
            Shape (M, R, size / R).
        """
        return torch.cat(levels, dim=1).flatten(1).unflatten(1, (self.rows, -1))

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Return the prompts of M images. # shape: (M, R, N, 2, H), keys before values"""
        flat = self.network(self.cut(levels))
        return flat.unflatten(2, (self.n_layers, 2, -1))


class GatedRows(NamedTuple):
    """What the images give to one text layer; L tokens an image, I images."""

    query: Tensor
    """shape: (B, I * L / 4, H)"""
    key: Tensor
    """shape: (B, I * L / 8, H)"""
    value: Tensor
    """shape: (B, I * L / 8, H)"""


class GatedPrompts(nn.Module):
    """Query, key and value rows: neighbouring tokens of an image, mixed by one gate a layer.

    A gate sees one image as a whole and gives four weights, which every row of that image uses.
    A query row mixes four neighbours; a key and a value row mix the even and the odd ones of eight.

    Args:
        length: L tokens an image, a multiple of 8.
        dim: H.
        n_layers: N text layers.

    Raises:
        ValueError: `length` is not a multiple of 8.

    Source: Chen et al. 2022, HVPNeT (dynamic gates over pyramid features); Co-MIPN shares each gate
        between keys and values (hard-swish) and queries (leaky ReLU).
    """

    def __init__(self, *, length: int, dim: int, n_layers: int) -> None:
        super().__init__()
        if length % (2 * CHUNKS):
            raise ValueError(f"{length} tokens do not divide into rows of {2 * CHUNKS}")
        size = length * dim // CHUNKS
        self.gates = nn.ModuleList(nn.Linear(size, CHUNKS) for _ in range(n_layers))

    def forward(self, tokens: Tensor) -> Iterator[GatedRows]:
        """Yield the rows of each text layer.

        Args:
            tokens: shape (B, I, L, H).
        """
        n_images = tokens.shape[1]
        flat = tokens.flatten(0, 1)  # shape: (B * I, L, H)
        quads = flat.unflatten(1, (-1, CHUNKS))  # shape: (B * I, L / 4, 4, H)
        # Even and odd tokens side by side. # shape: (B * I, L / 8, 4, 2 * H)
        pairs = flat.unflatten(1, (-1, CHUNKS, 2)).flatten(3)
        seen_by_query, seen_by_key = quads.mean(dim=2).flatten(1), pairs.mean(dim=2).flatten(1)
        for gate in self.gates:
            asked = functional.leaky_relu(gate(seen_by_query)).softmax(dim=1)
            kept = functional.hardswish(gate(seen_by_key)).softmax(dim=1)
            query, mixed = _mix(asked, quads, n_images), _mix(kept, pairs, n_images)
            yield GatedRows(query, *mixed.chunk(2, dim=2))


def _mix(weights: Tensor, chunks: Tensor, n_images: int) -> Tensor:
    """Return the weighted sums over each row's chunks, images stacked.

    Args:
        weights: shape (B * I, 4).
        chunks: shape (B * I, R, 4, C).
        n_images: I.

    Returns:
        Shape (B, I * R, C).
    """
    rows = torch.einsum("mi,mric->mrc", weights, chunks)
    return rows.unflatten(0, (-1, n_images)).flatten(1, 2)
