"""Pretrained networks from local checkpoint folders, every tensor accounted for."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from extract.networks.checkpoints.reading import load_pretrained, without_pooler

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def load_network(folder: Path, config: "PreTrainedConfig", *, pretrained: bool) -> nn.Module:
    """Return the bare network of a config in float32, without pooler where the family allows it.

    Args:
        folder: checkpoint folder in the transformers format; it may hold more than this network:
            heads, or another tower.
        config: of the wanted network; its folder is not remembered.
        pretrained: True loads the weights, False leaves the network as it is initialised.

    Raises:
        MissingFileError: no weights in the folder.
        DataError: the weights are not exactly those of the config, or cannot be read.
    """
    from transformers import AutoModel

    config.name_or_path = ""  # it is saved with the assets, where a path has no place
    options = without_pooler(config)
    if not pretrained:
        return AutoModel.from_config(config, dtype=torch.float32, **options)
    return load_pretrained(AutoModel, folder, is_part=True, config=config, **options)
