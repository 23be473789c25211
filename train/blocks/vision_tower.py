"""A pretrained image tower from a local checkpoint folder: CLIP's, or any vision transformer."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from extract.core.errors import ConfigError
from extract.networks.checkpoints.reading import load_config
from train.data.pretrained import load_network

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def load_vision_tower(folder: Path, *, pretrained: bool) -> nn.Module:
    """Return the bare image tower of a checkpoint, in float32, in evaluation mode.

    Args:
        folder: of a `CLIPModel`, `CLIPVisionModel` or another vision model of transformers (ViT,
            DINO, DINOv2, ...). A ViT comes without its pooler.
        pretrained: True loads the weights, False builds the tower from config.json alone.

    Raises:
        MissingFileError: no such folder, or it holds no config or weights.
        ConfigError: not a vision model.
        DataError: the tensors are not exactly those of its config, or cannot be read.
    """
    folder = Path(folder)
    config = vision_config(folder)
    return load_network(folder, config, pretrained=pretrained).eval()


def vision_config(folder: Path) -> "PreTrainedConfig":
    """Return the config of the vision side of a checkpoint folder.

    Raises:
        MissingFileError: no config.json.
        ConfigError: the folder holds no vision model.
    """
    from transformers import MODEL_MAPPING

    config = load_config(folder)
    config = getattr(config, "vision_config", config)
    network = MODEL_MAPPING.get(type(config), None)
    if network is None or getattr(network, "main_input_name", "") != "pixel_values":
        raise ConfigError(f"{folder}: '{config.model_type}' is not a vision model.")
    return config


def save_vision_assets(model: nn.Module, folder: Path) -> None:
    """Write config.json, from which `pretrained=False` builds the same tower."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
