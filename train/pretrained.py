"""Pretrained networks from local checkpoint folders, every tensor accounted for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig

from extract.checkpoints import from_folder, quiet_transformers, without_pooler
from extract.errors import ConfigError, MissingFileError


def load_network(
    folder: Path, config: PreTrainedConfig, *, pretrained: bool, unused: tuple[str, ...]
) -> nn.Module:
    """Return the bare network of a config in float32, without pooler where the family allows it.

    Args:
        folder: checkpoint folder in the transformers format.
        config: of the wanted network; its folder is not remembered.
        pretrained: True loads the weights, False leaves the network as it is initialised.
        unused: starts of the names of tensors that the checkpoint may hold besides.

    Raises:
        MissingFileError: no weights in the folder.
        ConfigError: the weights are not exactly those of the config.
    """
    config.name_or_path = ""  # it is saved with the assets, where a path has no place
    options = without_pooler(config)
    if not pretrained:
        return AutoModel.from_config(config, dtype=torch.float32, **options)
    try:
        with quiet_transformers():
            model, report = from_folder(
                AutoModel.from_pretrained,
                folder,
                config=config,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, with the others
                **options,
            )
    except OSError as error:
        raise MissingFileError(f"{folder}: no usable weights: {error}") from error
    _check_report(report, unused, folder)
    return model


def _check_report(report: Mapping[str, Any], unused: tuple[str, ...], folder: Path) -> None:
    """See that every tensor of the network came from the file, and every tensor was used."""
    problems = {
        "missing": sorted(report["missing_keys"]),
        "of another shape": sorted(map(str, report["mismatched_keys"])),
        "unknown": sorted(
            key
            for key in report["unexpected_keys"]
            # Old checkpoints store this buffer of counting numbers.
            if not key.startswith(unused) and not key.endswith("position_ids")
        ),
    }
    if any(problems.values()):
        found = "; ".join(f"{kind}: {', '.join(k[:5])}" for kind, k in problems.items() if k)
        raise ConfigError(f"{folder}: these are not the weights of its config.json. {found}")
