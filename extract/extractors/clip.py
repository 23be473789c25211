"""CLIP vision tower: one row a patch (`grid`) or one projected vector an image (`global`).

`grid` is the residual stream after the last layer, without CLIP's final layer norm (which CLIP
itself applies to the class token alone) and without the class token. `global` is the image
embedding in the space shared with text, not scaled to unit length.

Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors import base
from extract.images.decode import center_crop, resize_shorter_side, to_array
from extract.networks.checkpoints.reading import load_pretrained
from extract.networks.pixels import CLIP_MEAN, CLIP_STD, network_input, normalize
from extract.tables.rows import Item, ItemFeatures, Outputs

if TYPE_CHECKING:
    import torch

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    output: Literal["grid", "global"] = "grid"
    """`grid`: patch states; `global`: the projected image embedding."""
    image_size: int = 224
    """Shorter side in px after the bicubic resize, and side of the centre crop; checked."""
    patch_size: int = 32
    """Side in px of a patch; checked against the checkpoint."""
    feature_dim: int = 768
    """Width of the tower (`grid`) or of the projection (`global`, 512 in ViT-B); checked."""
    mean: tuple[float, float, float] = CLIP_MEAN
    """Of the RGB channels, 0-1; must be that of the checkpoint's `preprocessor_config.json`."""
    std: tuple[float, float, float] = CLIP_STD
    """Of the RGB channels, 0-1; must be that of the checkpoint's `preprocessor_config.json`."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Precision of the matrix products. bfloat16 has 3 significant digits and is faster on a
    processor that has it; the features of photos differ by 0.4 % (relative L2)."""
    jpeg_draft: bool = False
    """Decode large JPEGs at a fraction of their size, at least twice `image_size`: faster, and the
    pixels differ slightly."""
    dtype: Literal["float16", "float32"] = "float16"
    """Of the stored features."""

    def __post_init__(self) -> None:
        if self.patch_size < 1 or self.image_size < self.patch_size:
            raise ValueError(
                f"image_size must be at least patch_size, got {self.image_size} and "
                f"{self.patch_size}"
            )


class Extractor(base.Extractor):
    """A `CLIPModel`, `CLIPVisionModel` or `CLIPVisionModelWithProjection` checkpoint folder."""

    roles = ("vision",)

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """One row a patch with a grid, or one row."""
        cells = options.image_size // options.patch_size
        return Outputs(
            feature_dim=options.feature_dim,
            feature_dtype=options.dtype,
            grid=(cells, cells) if options.output == "grid" else None,
        )

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Load the vision part of a checkpoint folder.

        Raises:
            MissingFileError: the folder has no `config.json`.
            ConfigError: an option does not describe the checkpoint.
            DataError: not a CLIP checkpoint, or its vision tensors are not complete.
        """
        import torch
        from transformers import CLIPVisionModel, CLIPVisionModelWithProjection

        path = Path(weights["vision"])
        self._check_config(_read_json(path / "config.json"), path)
        self._check_preprocessing(path)
        is_grid = self.options.output == "grid"
        model_class = CLIPVisionModel if is_grid else CLIPVisionModelWithProjection
        # A full CLIP checkpoint also holds the text tower.
        model = load_pretrained(model_class, path, is_part=True)
        self.device = torch.device(device)
        self.model = model.to(self.device)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return patch rows (row-major) or one row an image."""
        import torch

        if not batch:
            return []
        pixels = self.network_input([self.prepared(item) for item in batch])
        is_bfloat16 = self.options.compute == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=is_bfloat16),
        ):
            result = self.model(pixel_values=pixels)
        if self.options.output == "grid":
            rows = result.last_hidden_state[:, 1:]  # shape: (B, R, D), without the class token
        else:
            rows = result.image_embeds[:, None]  # shape: (B, 1, D)
        arrays = rows.float().cpu().numpy()
        return [ItemFeatures(features=item.astype(self.options.dtype)) for item in arrays]

    @property
    def draft_px(self) -> int | None:
        """Twice the network's input where drafts are allowed."""
        return 2 * self.options.image_size if self.options.jpeg_draft else None

    def prepare(self, item: Item) -> np.ndarray:
        """Return the middle square, shape (image_size, image_size, 3), uint8."""
        size = self.options.image_size
        return to_array(center_crop(resize_shorter_side(item.image, size), size))

    def network_input(self, squares: Sequence[np.ndarray]) -> "torch.Tensor":
        """Return shape (B, 3, image_size, image_size), float32, normalised."""
        pixels = network_input(squares, self.device)
        return normalize(pixels, self.options.mean, self.options.std)

    def _check_config(self, config: Mapping[str, Any], path: Path) -> None:
        if config.get("model_type") not in ("clip", "clip_vision_model"):
            raise DataError(
                f"{path}: expected a CLIP checkpoint, got model_type {config.get('model_type')!r}."
            )
        from transformers import CLIPConfig, CLIPVisionConfig

        # The classes fill in what a config.json leaves to their defaults.
        if config["model_type"] == "clip":
            vision = CLIPConfig.from_dict(dict(config)).vision_config
        else:
            vision = CLIPVisionConfig.from_dict(dict(config))
        feature_dim = vision.hidden_size if self.options.output == "grid" else vision.projection_dim
        self._check_option("image_size", vision.image_size, path)
        self._check_option("patch_size", vision.patch_size, path)
        self._check_option("feature_dim", feature_dim, path)

    def _check_preprocessing(self, path: Path) -> None:
        """Compare mean and std with the checkpoint's own, where it states them."""
        file = path / "preprocessor_config.json"
        if not file.is_file():
            return
        stated = _read_json(file)
        for option, key in (("mean", "image_mean"), ("std", "image_std")):
            if key in stated:
                self._check_option(option, tuple(stated[key]), path)

    def _check_option(self, name: str, expected: Any, path: Path) -> None:
        if getattr(self.options, name) != expected:
            raise ConfigError(
                f"clip: option {name} is {getattr(self.options, name)}, but the checkpoint {path} "
                f"has {expected} (output: {self.options.output}). Set {name}: {expected}."
            )


def _read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint folder."""
    if not file.is_file():
        raise MissingFileError(f"{file}: no such file; expected a CLIP checkpoint folder.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not a JSON object ({error}).") from error
