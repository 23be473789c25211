"""The convolutions of a VGG network, built from the configuration beside its weights.

Source: Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image
Recognition.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.core.errors import DataError
from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from torch import nn


# Output channels of each convolution; "M" is a pooling layer. Configuration D of the paper.
VGG16 = (
    64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M",
)  # fmt: skip


def read_config(path: Path) -> dict[str, Any]:
    """Return the architecture of a checkpoint; without a `config.json` it is VGG-16.

    Raises:
        DataError: `config.json` is not that of a VGG network.
    """
    config = {"batch_norm": False, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    file = path / "config.json"
    if not file.is_file():
        return config | {"layers": list(VGG16)}
    try:
        config |= json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not a JSON object ({error}).") from error
    layers = config.get("layers")
    is_legal = (
        config.get("architecture") == "vgg"
        and isinstance(layers, list)
        and any(layer != "M" for layer in layers)
        and all(layer == "M" or (type(layer) is int and layer > 0) for layer in layers)
        and isinstance(config["batch_norm"], bool)
        and all(len(config[name]) == 3 for name in ("mean", "std"))
    )
    if not is_legal:
        raise DataError(
            f'{file}: expected {{"architecture": "vgg", "layers": [64, "M", ...], "batch_norm": '
            f'false, "mean": [3 numbers], "std": [3 numbers]}}, got {config}.'
        )
    return config


def build_features(config: Mapping[str, Any]) -> "nn.Sequential":
    """Return the convolutional stack that a config describes, with fresh weights.

    Layers are numbered as torchvision numbers them, whose import would take a second a job.
    """
    from torch import nn

    layers: list[nn.Module] = []
    channels = 3
    for layer in config["layers"]:
        if layer == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, layer, kernel_size=3, padding=1))
        layers += [nn.BatchNorm2d(layer)] if config["batch_norm"] else []
        layers.append(nn.ReLU(inplace=True))
        channels = layer
    return nn.Sequential(*layers)
