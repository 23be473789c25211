"""One visual sequence of a CLIP tower: class token, whole image, grounding crops, detector crops.

All pictures share CLIP's patch convolution. Published is that whole image and crops enter CLIP; the
three crops of each kind and their sizes are from released code. Position rows taken from CLIP and
the mask of what is missing are our reconstruction: released code learns new tables from random
values and attends to zero-filled crops.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.core.errors import ConfigError


class Pictures(NamedTuple):
    """What is looked at, and what of it there is."""

    images: tuple[Tensor, ...]
    """One tensor a source, shape (B, R, 3, S, S): R pictures of S px."""
    present: tuple[Tensor, ...]
    """One a source, shape (B, R), bool."""


class VisualSequence(nn.Module):
    """Patches of several pictures as one sequence with position embeddings.

    Class token and whole image use the position rows of the tower itself; each kind of crop has a
    table of its own, which starts from the tower's grid resized to the crop's.

    Args:
        tower: a `CLIPVisionModel`. It is not kept: `forward` gets it again.
        whole: look at the whole image, in the size that the tower is made for.
        crops: (number R, side in px) of each kind of crop.

    Raises:
        ConfigError: a side is not a multiple of the patch side.
    """

    def __init__(self, tower: nn.Module, *, whole: bool, crops: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        rows = tower.embeddings.position_embedding.weight.detach()
        self.whole = whole
        # The same rows for each crop of a kind at the start; from there they train apart.
        tables = [
            resize_grid(rows[1:], _patches(side, tower.config.patch_size)).repeat(number, 1)
            for number, side in crops
        ]
        self.crop_positions = nn.ParameterList(tables)
        self.length: int = (len(rows) if whole else 1) + sum(map(len, tables))

    def forward(self, tower: nn.Module, pictures: Pictures) -> tuple[Tensor, Tensor]:
        """Embed the whole image, if it is looked at, and then each kind of crop.

        Returns:
            Tokens, shape (B, M, D), before CLIP's first layer norm, and their mask, shape (B, M),
            bool. The class token is there when any picture of the sample is.
        """
        embeddings = tower.embeddings
        rows = embeddings.position_embedding.weight
        tables = [rows[1:], *self.crop_positions] if self.whole else list(self.crop_positions)
        n_samples = len(pictures.present[0])
        tokens = [(embeddings.class_embedding + rows[0]).expand(n_samples, 1, -1)]
        masks = [torch.cat(pictures.present, dim=1).any(dim=1, keepdim=True)]
        for images, present, positions in zip(*pictures, tables, strict=True):
            patches = embeddings.patch_embedding(images.flatten(0, 1).to(rows.dtype))
            patches = patches.flatten(2).transpose(1, 2)  # shape: (B * R, patches, D)
            masks.append(present.repeat_interleave(patches.shape[1], dim=1))
            tokens.append(patches.reshape(n_samples, -1, patches.shape[2]) + positions)
        return torch.cat(tokens, dim=1), torch.cat(masks, dim=1)


def _patches(side: int, patch: int) -> int:
    """Return how many patches stand on each side of a crop."""
    if side < patch or side % patch:
        raise ConfigError(
            f"crops of {side} px cannot be cut into patches of {patch} px: choose sizes that are "
            "multiples of the vision tower's patch_size."
        )
    return side // patch


def resize_grid(rows: Tensor, side: int) -> Tensor:
    """Return the position rows of a square grid of another side, bicubic.

    Args:
        rows: shape (n * n, D), row-major.
        side: of the new grid.

    Returns:
        Shape (side * side, D); the rows themselves when nothing changes.
    """
    old = round(len(rows) ** 0.5)
    if old == side:
        return rows.clone()
    grid = rows.T.reshape(1, -1, old, old)
    resized = functional.interpolate(grid, (side, side), mode="bicubic", align_corners=False)
    return resized.flatten(2)[0].T.contiguous()
