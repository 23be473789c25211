"""Training that starts from the weights of another run instead of pretrained networks."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError
from extract.core.options import options_from
from extract.core.registry import load_module
from train.training.run_folder import checkpoint

ROLE = "init_from"
"""Where run.json names the checksum of the weights that training started from."""


def initial_sha256(folder: Path) -> dict[str, str]:
    """Return file name -> checksum of a run's weights.

    Raises:
        MissingFileError: not the folder of a finished run.
    """
    checkpoint.read_run_info(folder)
    return {checkpoint.WEIGHTS: file_sha256(folder / checkpoint.WEIGHTS)}


def check_initial_run(
    folder: Path,
    system: str,
    options: Any,
    vocabulary: dict[str, Any],
    weights_sha256: Mapping[str, Mapping[str, str]],
) -> None:
    """Check that a run's weights mean the same in a training that is to start from them.

    Args:
        folder: of the finished run.
        system: of the training.
        options: its checked options.
        vocabulary: what it remembers of its training text, entity types included.
        weights_sha256: role -> file name -> checksum of the pretrained networks it is given.

    Raises:
        ConfigError: system or its version, options, entity types, vocabulary, or config or
            tokenizer of a pretrained network differ.
        MissingFileError: not the folder of a finished run.
    """
    info = checkpoint.read_run_info(folder)
    if info.system != system:
        raise ConfigError(
            f"--init-from {folder}: a run of {info.system}, expected one of {system}."
        )
    version = load_module("train.systems", system).Model.VERSION
    if info.model_version != version:
        raise ConfigError(
            f"--init-from {folder}: trained with version {info.model_version} of {system}, this is "
            f"{version}."
        )
    theirs = options_from(type(options), info.options, f"{folder / checkpoint.RUN}: options")
    pairs = [
        (field.name, getattr(theirs, field.name), getattr(options, field.name))
        for field in dataclasses.fields(options)
    ]
    keys = sorted({*info.vocabulary, *vocabulary}, key=lambda key: (key != "entity_types", key))
    pairs += [(key, info.vocabulary.get(key), vocabulary.get(key)) for key in keys]
    for name, got, expected in pairs:
        if got != expected:
            raise ConfigError(
                f"--init-from {folder}: {name} differs: expected {_shown(expected)}, that run has "
                f"{_shown(got)}. Weights can be taken over only where options, tag set and "
                "vocabulary are the same."
            )
    for role, files in weights_sha256.items():
        _check_network(folder, role, info.weights_sha256.get(role, {}), files)


def _check_network(
    folder: Path, role: str, theirs: Mapping[str, str], ours: Mapping[str, str]
) -> None:
    """Check config and tokenizer, where the run knows them (an imported one does not)."""
    for name in sorted(ours.keys() & theirs.keys()):
        # The tensors of both are replaced; the other files say what the run's mean.
        if not name.endswith((".safetensors", ".bin")) and ours[name] != theirs[name]:
            raise ConfigError(
                f"--init-from {folder}: --weights {role}: its {name} is not that of the run. "
                "Give the checkpoint folder that the run started from."
            )


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} entries, {', '.join(map(str, value[:4]))}, ..."
    return str(value)
