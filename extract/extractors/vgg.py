"""VGG grid features: the output of the last pooling layer, one row a cell, row-major.

With VGG-16 and 224 px images this is the 49 x 512 grid that ACN reads.

Source: Simonyan & Zisserman 2015, Very Deep Convolutional Networks, configuration D;
Zhang et al. 2018, Adaptive Co-attention Network, sec. "Image Feature Extractor".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import ConfigError
from extract.extractors import base
from extract.images.decode import FilterName, resize_exact, to_array
from extract.networks.checkpoints.reading import fill_network, find_checkpoint, read_tensors
from extract.networks.pixels import network_input, normalize
from extract.networks.vgg_layers import build_features, read_config
from extract.tables.rows import Item, ItemFeatures, Outputs

if TYPE_CHECKING:
    import torch

VERSION = 1

# Means of the *blue, green, red* channels on the scale 0-255; see `upstream_pixels`.
_UPSTREAM_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    image_size: int = 224
    """Side in px of the square to which an image is resized, whatever its aspect ratio."""
    preset: Literal["clean", "upstream"] = "clean"
    """`clean`: normalised as the checkpoint expects. `upstream`: the pixels that ACN's
    PyTorch re-implementation gives to VGG-16, with their means in the wrong channel order and
    wrapped negative values."""
    resample: FilterName = "bicubic"
    """Filter of the resize; both antialias."""
    feature_dim: int = 512
    """Channels of the last convolution; checked against the checkpoint."""
    stride_px: int = 32
    """Pixels a grid cell covers: 2 to the number of pooling layers; checked."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Precision of the convolutions. bfloat16 has 3 significant digits: twice as fast on a
    processor that has it, and the features of photos differ by 0.8 % (relative L2)."""
    jpeg_draft: bool = False
    """Decode large JPEGs at a fraction of their size, at least twice `image_size`: faster, and the
    pixels differ slightly."""
    dtype: Literal["float16", "float32"] = "float16"
    """Of the stored features."""

    def __post_init__(self) -> None:
        if self.stride_px < 1 or self.image_size < 1 or self.image_size % self.stride_px:
            raise ValueError(
                f"image_size must be a multiple of stride_px, got {self.image_size} and "
                f"{self.stride_px}"
            )


class Extractor(base.Extractor):
    """The convolutional stack of a VGG network, in evaluation mode."""

    roles = ("vision",)

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """One row of `feature_dim` values a grid cell."""
        cells = options.image_size // options.stride_px
        return Outputs(
            feature_dim=options.feature_dim, feature_dtype=options.dtype, grid=(cells, cells)
        )

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Load torchvision's checkpoint, or a folder with `config.json` and one checkpoint.

        Raises:
            DataError: the tensors are not those of the architecture.
            ConfigError: `feature_dim` or `stride_px` does not describe the checkpoint.
        """
        import torch

        path = Path(weights["vision"])
        config = read_config(path)
        self._check_options(config, path)
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        features = build_features(config)
        checkpoint = find_checkpoint(path)
        # The classifier of an ImageNet checkpoint has no part in the grid.
        tensors = {
            name: tensor
            for name, tensor in read_tensors(checkpoint).items()
            if not name.startswith("classifier.")
        }
        fill_network(torch.nn.ModuleDict({"features": features}), tensors, checkpoint)
        self.device = torch.device(device)
        dtype = getattr(torch, self.options.compute)
        self.features = features.eval().to(self.device, dtype, memory_format=torch.channels_last)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return `rows x columns` features an image; cell (r, c) is row r * columns + c."""
        import torch

        if not batch:
            return []
        pixels = self.network_input([self.prepared(item) for item in batch])
        with torch.inference_mode():
            grid = self.features(pixels.to(getattr(torch, self.options.compute)))
        # shape: (B, D, rows, columns) -> (B, rows * columns, D)
        rows = grid.flatten(2).transpose(1, 2).float().cpu().numpy()
        return [ItemFeatures(features=item.astype(self.options.dtype)) for item in rows]

    @property
    def draft_px(self) -> int | None:
        """Twice the network's input where drafts are allowed."""
        return 2 * self.options.image_size if self.options.jpeg_draft else None

    def prepare(self, item: Item) -> np.ndarray:
        """Return the resized image, shape (image_size, image_size, 3), uint8."""
        size = (self.options.image_size, self.options.image_size)
        pixels = to_array(resize_exact(item.image, size, resample=self.options.resample))
        return pixels if self.options.preset == "clean" else upstream_pixels(pixels)

    def network_input(self, squares: Sequence[np.ndarray]) -> "torch.Tensor":
        """Return shape (B, 3, image_size, image_size), float32, as the preset scales it."""
        pixels = network_input(squares, self.device)
        return (
            pixels if self.options.preset == "upstream" else normalize(pixels, self.mean, self.std)
        )

    def _check_options(self, config: Mapping[str, Any], path: Path) -> None:
        widths = [layer for layer in config["layers"] if layer != "M"]
        found = {"feature_dim": widths[-1], "stride_px": 2 ** config["layers"].count("M")}
        for name, value in found.items():
            if getattr(self.options, name) != value:
                raise ConfigError(
                    f"vgg: option {name} is {getattr(self.options, name)}, but the checkpoint "
                    f"{path} has {value}. Set {name}: {value}."
                )


def upstream_pixels(image: np.ndarray) -> np.ndarray:
    """Repeat the pixel arithmetic of ACN's PyTorch re-implementation.

    The means are subtracted from RGB although they are in BGR order, and the result is written
    back to 8 bits: truncated toward zero, then modulo 256 (0 -> 153, not -104).

    Args:
        image: shape (H, W, 3), uint8, RGB.

    Returns:
        Shape (H, W, 3), uint8; the network gets 0-255, not scaled any further.
    """
    centered = image.astype(np.float64) - np.array(_UPSTREAM_MEANS)
    return np.mod(np.trunc(centered).astype(np.int64), 256).astype(np.uint8)
