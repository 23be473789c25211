"""The picture side's input: class vector and patches of whole image and crops, one convolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from train.blocks.visual_sequence import Pictures, resize_grid

POSITION_STARTS = ("clip", "normal")


@dataclass(frozen=True)
class PictureKind:
    """One source of patches."""

    name: str
    number: int
    """How many pictures a sample has at most, R."""
    size_px: int
    """Side of each."""


class PictureTokens(nn.Module):
    """Patches of several kinds of pictures as one sequence, a position table for each kind.

    Args:
        tower: a `CLIPVisionModel`; its class vector and convolution become part of this module.
        kinds: in the order of the sequence.
        positions: how the tables start. `clip`: from the tower's own table, resized to each kind's
            grid and the same for each picture of a kind, its first row added to the class vector.
            `normal`: mean 0 and standard deviation 1, nothing of the tower's table used.

    Attributes:
        length: M, tokens of a sample.

    Raises:
        ConfigError: a side is not a multiple of the patch side.
    """

    def __init__(
        self, tower: nn.Module, kinds: Sequence[PictureKind], *, positions: str = "clip"
    ) -> None:
        super().__init__()
        if positions not in POSITION_STARTS:
            raise ValueError(f"positions must be one of {POSITION_STARTS}, got {positions!r}")
        self.kinds = tuple(kinds)
        embeddings = tower.embeddings
        self.class_embedding = embeddings.class_embedding
        self.patch_embedding = embeddings.patch_embedding
        self.grids = [_grid(kind, tower.config.patch_size) for kind in kinds]
        rows = embeddings.position_embedding.weight.detach()
        if positions == "clip":
            with torch.no_grad():
                self.class_embedding += rows[0]
            tables = [
                resize_grid(rows[1:], grid).repeat(kind.number, 1)
                for kind, grid in zip(kinds, self.grids, strict=True)
            ]
        else:
            lengths = [k.number * grid**2 for k, grid in zip(kinds, self.grids, strict=True)]
            tables = [torch.randn(length, rows.shape[1]) for length in lengths]
        names = [kind.name for kind in kinds]
        self.positions = nn.ParameterDict(dict(zip(names, tables, strict=True)))
        self.length = 1 + sum(len(table) for table in tables)

    def forward(self, pictures: Pictures) -> tuple[Tensor, Tensor]:
        """Embed pictures.

        Args:
            pictures: one entry for each kind.

        Returns:
            Tokens, shape (B, M, D), before the tower's first layer norm, and which of them show
            something, shape (B, M), bool. The class token always counts as there: it is learned,
            says nothing of any picture, and gives attention something to look at.
        """
        n_samples, weight = len(pictures.images[0]), self.patch_embedding.weight
        tokens = [self.class_embedding.expand(n_samples, 1, -1)]
        masks = [torch.ones((n_samples, 1), dtype=torch.bool, device=weight.device)]
        for kind, grid, images, present in zip(self.kinds, self.grids, *pictures, strict=True):
            patches = self.patch_embedding(images.flatten(0, 1).to(weight.dtype))
            patches = patches.flatten(2).transpose(1, 2)  # shape: (B * R, patches, D)
            patches = patches.reshape(n_samples, -1, patches.shape[2])
            tokens.append(patches + self.positions[kind.name])
            masks.append(present.repeat_interleave(grid**2, dim=1))
        return torch.cat(tokens, dim=1), torch.cat(masks, dim=1)


def _grid(kind: PictureKind, patch_px: int) -> int:
    """Return how many patches fit along one side."""
    if kind.size_px < patch_px or kind.size_px % patch_px:
        raise ConfigError(
            f"{kind.name}: a picture of {kind.size_px} px cannot be cut into patches of {patch_px} "
            "px; choose sizes that are multiples of the tower's patch_size."
        )
    return kind.size_px // patch_px
