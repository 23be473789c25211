"""The image side of Co-MIPN: two frozen towers over four images, and the prompts made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from extract.networks.pixels import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from train.blocks.vision_tower import load_vision_tower
from train.systems.co_mipn.dynamic_similarity import DynamicSimilarity
from train.systems.co_mipn.image_prompts import GatedPrompts, LevelPrompts
from train.systems.co_mipn.prompt_attention import LayerPrompt, mask_to_heads, to_heads

N_IMAGES = 4
"""The whole image and three crops: four images give one query row for each text position."""


@dataclass(frozen=True)
class TowerOptions:
    """How images become prompts; the system's options of the same names explain them."""

    prompt_len: int
    prompt_hidden: int
    max_pieces: int
    similarity: str
    prompt_head_layout: str
    clip_normalisation: str
    mask_missing: bool
    mask_padding: bool


@dataclass
class ImagePrompts:
    """What the images say to the text; A heads, R rows, N layers."""

    vision_cls: Tensor
    """shape: (B, D), first state of CLIP's last level for the whole image."""
    text: Tensor
    """shape: (B, T, H), the text in the space of the similarity."""
    filtered: Tensor
    """shape: (B, 4, L, H), positions of each image weighted by their similarity."""
    level: list[LayerPrompt]
    """Keys and values of CLIP, one entry a layer."""
    memory: list[LayerPrompt]
    """The same for attention that has no other keys: no head is left without an image."""
    gated: list[LayerPrompt]
    """Queries, keys and values of DINO, one entry a layer."""
    level_present: Tensor | None
    """shape: (B, A, R), bool, positions of `level` that come from images; None: all."""
    memory_present: Tensor | None
    gated_present: Tensor | None


class PromptTowers(nn.Module):
    """CLIP and DINO with what turns their states into prompts.

    Args:
        options: see `TowerOptions`.
        clip: checkpoint folder of the tower whose levels become keys and values.
        dino: of the tower whose patches are compared with the text.
        pretrained: False builds the towers from their configs alone.
        n_heads: A of the text encoder.
        n_layers: N of the text encoder.
        dim: H of the text encoder.

    Raises:
        ConfigError: the options do not fit the networks, or the networks each other.
    """

    def __init__(
        self,
        options: TowerOptions,
        *,
        clip: Path,
        dino: Path,
        pretrained: bool,
        n_heads: int,
        n_layers: int,
        dim: int,
    ) -> None:
        super().__init__()
        self.options, self.n_heads = options, n_heads
        self.clip = load_vision_tower(clip, pretrained=pretrained).requires_grad_(False)
        self.dino = load_vision_tower(dino, pretrained=pretrained).requires_grad_(False)
        self._clip_states = _state_shape(self.clip)
        self._dino_states = _state_shape(self.dino)
        self._check_sizes()
        self.level_prompts = LevelPrompts(
            size=self._level_size(),
            rows=options.prompt_len,
            hidden=options.prompt_hidden,
            n_layers=n_layers,
            dim=dim,
        )
        self.similarity = DynamicSimilarity(
            vision_dim=self.dino.config.hidden_size,
            text_dim=dim,
            dim=dim,
            length=options.max_pieces,
            pairing=options.similarity,
        )
        self.gated_prompts = GatedPrompts(length=options.max_pieces, dim=dim, n_layers=n_layers)

    def freeze_unread(self, branches: Sequence[str]) -> None:
        """Keep from training the prompts that none of these branches reads."""
        if not {"memory", "prefix"} & set(branches):
            self.level_prompts.requires_grad_(False)
        if not {"query", "query_prefix"} & set(branches):
            self.similarity.requires_grad_(False)
            self.gated_prompts.requires_grad_(False)

    @property
    def n_dino_tokens(self) -> int:
        """How many tokens DINO makes of an image, special ones included."""
        return self._dino_states[0]

    @property
    def size_px(self) -> int:
        """Side of the images that both towers read."""
        return self.dino.config.image_size

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off; the frozen towers stay in evaluation mode."""
        super().train(mode)
        self.clip.eval()
        self.dino.eval()
        return self

    def forward(
        self, images: Tensor, present: Tensor, states: Tensor, text_mask: Tensor
    ) -> ImagePrompts:
        """Return the prompts of a batch.

        Args:
            images: shape (B, 4, 3, size_px, size_px), normalised with ImageNet's statistics, zero
                where missing.
            present: shape (B, 4), bool.
            states: shape (B, T, H), of the text encoder.
            text_mask: shape (B, T), bool.
        """
        options = self.options
        used = present if options.mask_missing else torch.ones_like(present)
        pixels = images[used]  # shape: (M, 3, size_px, size_px)
        levels, patches = self._look(pixels, present[used])
        rows = _spread(self.level_prompts(levels), used)  # shape: (B, 4, R, N, 2, H)
        filtered, text = self.similarity(
            _spread(patches, used), states, text_mask, mask_padding=options.mask_padding
        )
        # The projection of a missing image is its bias, not zero.
        filtered = filtered * used[:, :, None, None]
        shown = used if options.mask_missing else None
        refilled, refilled_shown = rows, shown
        if shown is not None and options.prompt_head_layout == "raw":
            # Here each head sees one image: in place of a missing crop, it sees the whole one.
            refilled = torch.where(used[:, :, None, None, None, None], rows, rows[:, :1])
            refilled_shown = used | used[:, :1]
        level = self._level_heads(rows)
        return ImagePrompts(
            vision_cls=_spread(levels[-1][:, 0], used)[:, 0],
            text=text,
            filtered=filtered,
            level=level,
            memory=level if refilled is rows else self._level_heads(refilled),
            gated=self._gated_heads(filtered),
            level_present=self._mask(shown, options.prompt_len),
            memory_present=self._mask(refilled_shown, options.prompt_len),
            gated_present=self._mask(shown, options.max_pieces // 8),
        )

    @torch.no_grad()
    def _look(self, pixels: Tensor, is_real: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return CLIP's states of all levels and DINO's last states, of M images.

        Shapes (M, tokens, D), one a level, and (M, t, D).
        """
        if not len(pixels):  # the towers do not read empty batches
            level = pixels.new_zeros(0, *self._clip_states)
            return (level,) * self._n_levels, pixels.new_zeros(0, *self._dino_states)
        patches = self.dino(pixel_values=pixels).last_hidden_state
        if self.options.clip_normalisation == "clip":
            pixels = _to_clip_statistics(pixels) * is_real[:, None, None, None]
        return self.clip(pixel_values=pixels, output_hidden_states=True).hidden_states, patches

    def _level_heads(self, rows: Tensor) -> list[LayerPrompt]:
        """Return CLIP's keys and values of each layer, images stacked, dealt out to the heads."""
        stacked = rows.flatten(1, 2)  # shape: (B, 4 * R, N, 2, H)
        return [
            LayerPrompt(key=self._heads(pair[:, :, 0]), value=self._heads(pair[:, :, 1]))
            for pair in stacked.unbind(2)
        ]

    def _gated_heads(self, filtered: Tensor) -> list[LayerPrompt]:
        """Return DINO's queries, keys and values of each layer, dealt out to the heads."""
        return [LayerPrompt(*map(self._heads, rows)) for rows in self.gated_prompts(filtered)]

    def _heads(self, rows: Tensor) -> Tensor:
        return to_heads(rows, self.n_heads, self.options.prompt_head_layout)

    def _mask(self, shown: Tensor | None, rows: int) -> Tensor | None:
        """Return which positions stem from images, `rows` rows each. # shape: (B, A, 4 * rows)"""
        if shown is None:
            return None
        of_rows = shown.repeat_interleave(rows, dim=1)
        return mask_to_heads(of_rows, self.n_heads, self.options.prompt_head_layout)

    @property
    def _n_levels(self) -> int:
        return self.clip.config.num_hidden_layers + 1  # the first is the embedding

    def _level_size(self) -> int:
        """Return how many numbers CLIP's levels hold of one image."""
        return self._n_levels * self._clip_states.numel()

    def _check_sizes(self) -> None:
        """See that the options fit the networks."""
        options, clip_px = self.options, self.clip.config.image_size
        if clip_px != self.size_px:
            raise ConfigError(
                f"vision and dino must read images of one size, got {clip_px} and "
                f"{self.size_px} px."
            )
        if self._level_size() % options.prompt_len:
            raise ConfigError(
                f"prompt_len: the {self._level_size()} numbers of an image in all levels of "
                f"'vision' do not divide into {options.prompt_len} rows."
            )
        if options.prompt_head_layout == "raw":
            self._check_raw_rows("prompt_len", N_IMAGES * options.prompt_len)
            self._check_raw_rows("max_pieces", options.max_pieces // 2)

    def _check_raw_rows(self, name: str, rows: int) -> None:
        """See that every head gets whole rows, all of one image."""
        if rows % self.n_heads or self.n_heads % N_IMAGES:
            raise ConfigError(
                f"{name} = {getattr(self.options, name)}: with prompt_head_layout 'raw' the {rows} "
                f"key rows of four images must be a multiple of the {self.n_heads} heads, and the "
                "heads a multiple of four. Released code has prompt_len 12 and max_pieces 192."
            )


@torch.no_grad()
def _state_shape(tower: nn.Module) -> torch.Size:
    """Return (tokens, channels) of what a tower makes of an image."""
    side, weight = tower.config.image_size, next(tower.parameters())
    nothing = torch.zeros(1, 3, side, side, device=weight.device)
    return tower(pixel_values=nothing).last_hidden_state.shape[1:]


def _spread(found: Tensor, used: Tensor) -> Tensor:
    """Return what M images gave at their places, zero elsewhere. # shape: (B, I, ...)"""
    spread = found.new_zeros((*used.shape, *found.shape[1:]))
    spread[used] = found
    return spread


def _to_clip_statistics(pixels: Tensor) -> Tensor:
    """Return images normalised with CLIP's statistics instead of ImageNet's."""
    mean, std, new_mean, new_std = (
        pixels.new_tensor(values)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD, CLIP_MEAN, CLIP_STD)
    )
    return (pixels * std + mean - new_mean) / new_std
