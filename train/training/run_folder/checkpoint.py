"""A run folder holds everything needed to tag new text: weights, run.json and the assets.

Weights are safetensors only. run.json says what the inputs determine and nothing else: no time, no
host, no path, so the same inputs give the same bytes.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, MissingFileError, StoreError
from extract.core.files import atomic_path, write_json
from extract.core.options import options_from
from extract.core.registry import load_module
from train.systems.base import TaggingModel
from train.training.recipe import Recipe
from train.training.run_folder.names import ASSETS, RUN, WEIGHTS
from train.training.run_spec import RunSpec

FORMAT_VERSION = 1

CHECKSUM = "tensors_sha256"
"""Key of the safetensors metadata: what its tensors should be."""

SELECTED_ON = {
    "valid": "the best F1 on valid",
    "nothing": "no score: it is the last epoch",
    "elsewhere": "unknown: the weights were imported",
}
"""What may have chosen the epoch of a run that is scored. Never the test split."""


@dataclass(frozen=True)
class RunInfo:
    """The content of run.json."""

    run: str
    """Run id of the config."""
    dataset: str
    """Dataset id of the config."""
    system: str
    variant: str
    seed: int
    options: dict[str, Any]
    """The system's options, all of them."""
    recipe: Recipe
    entity_types: list[str]
    vocabulary: dict[str, Any]
    """What the system's `build_vocabulary` returned."""
    features: dict[str, str] = field(default_factory=dict)
    """Role -> feature-set id."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Role -> fingerprint of the store."""
    samples_sha256: dict[str, str] = field(default_factory=dict)
    """Split -> checksum of its samples file."""
    weights_sha256: dict[str, dict[str, str]] = field(default_factory=dict)
    """Role -> file name -> checksum, of the pretrained networks; `init_from`: of the run that it
    started from, `checkpoint`: of the file that it was imported from."""
    n_parameters: int = 0
    best_epoch: int = 0
    """The epoch whose weights these are, from 1."""
    selected_on: str = "valid"
    """What chose the epoch, one of `SELECTED_ON`."""
    epochs_run: int = 0
    processes: int = 1
    """Processes that trained together: an update was over as many times more batches."""
    valid_f1: dict[str, float] = field(default_factory=dict)
    """View -> entity F1 on valid at that epoch, percent."""
    model_version: int = 1
    """VERSION of the system's class."""
    code: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def resolved(spec: RunSpec) -> dict[str, Any]:
    """Return a run spec with every default of options and recipe written out.

    Raises:
        ConfigError: an unknown system, or a wrong option.
    """
    module = load_module("train.systems", spec.system)
    options = options_from(module.Options, spec.options, f"{spec.run}.options")
    return {**dataclasses.asdict(spec), "options": dataclasses.asdict(options)}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's state as safetensors, a tensor shared by several names once.

    The safetensors helper for shared tensors writes its name table in random order; this one keeps
    the first name of each tensor, so equal weights give equal bytes.
    """
    kept: dict[str, torch.Tensor] = {}
    seen = set()
    for name, tensor in sorted(model.state_dict().items()):
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = tensor.detach().cpu().contiguous()
    # safetensors writes a temporary file of its own first.
    with atomic_path(path, in_folder=True) as tmp:
        save_file(kept, tmp, metadata={CHECKSUM: tensors_sha256(kept)})


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of contiguous tensors on the CPU."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def load_weights(model: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote, into a model of the same structure.

    Raises:
        MissingFileError: no such file.
        StoreError: the file is damaged or of another structure. Files of earlier versions carry
            no checksum: of these only the structure is known.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no weights. `python -m train fit` writes them last.")
    try:
        with safe_open(path, "pt") as file:
            expected = (file.metadata() or {}).get(CHECKSUM)
        tensors = load_file(path)
        if expected and expected != tensors_sha256(tensors):
            raise StoreError(
                f"{path}: its tensors do not match their checksum (bytes changed). Put back an "
                "undamaged copy, or delete the file and train again."
            )
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise StoreError(f"{path}: does not fit this model: {error}") from error
    loaded = {t.data_ptr() for name, t in model.state_dict().items() if name in tensors}
    state = model.state_dict()
    absent = [n for n in missing if state[n].numel() and state[n].data_ptr() not in loaded]
    if absent or unexpected:
        raise StoreError(
            f"{path}: does not fit this model: missing {absent[:3]}, unexpected {unexpected[:3]}"
        )


def write_run_info(folder: Path, info: RunInfo) -> None:
    """Write run.json."""
    write_json(Path(folder) / RUN, dataclasses.asdict(info))


def read_run_info(folder: Path) -> RunInfo:
    """Read run.json.

    Raises:
        MissingFileError: the folder holds no run.
        ConfigError: it is damaged or of another format.
    """
    path = Path(folder) / RUN
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; is this the folder of a finished run?")
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: damaged, not the JSON that training writes ({error!s:.80}). Put back an "
            "undamaged copy, or train again."
        ) from error
    if not isinstance(mapping, dict):
        raise ConfigError(f"{path}: expected a JSON object, got {mapping!r:.40}.")
    if mapping.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: format version {mapping.get('format_version')}, expected {FORMAT_VERSION}."
        )
    return options_from(RunInfo, mapping, str(path))


def frozen_checkpoint(folder: Path) -> dict[str, Any]:
    """Return which weights a run folder holds: `sha256`, `epoch`, `selected_on`.

    Raises:
        ConfigError: the epoch was chosen by what may not choose it.
        MissingFileError: the folder holds no finished run.
    """
    info, weights = read_run_info(folder), Path(folder) / WEIGHTS
    if info.selected_on not in SELECTED_ON:
        known = "; ".join(f"{name} ({meaning})" for name, meaning in SELECTED_ON.items())
        raise ConfigError(
            f"{Path(folder) / RUN}: selected_on is '{info.selected_on}', so its score would not be "
            f"one of held-out tweets. Expected {known}. Train again with `python -m train fit`."
        )
    if not weights.is_file():
        raise MissingFileError(f"{weights}: no weights. `python -m train fit` writes them last.")
    return {
        "sha256": file_sha256(weights),
        "epoch": info.best_epoch,
        "selected_on": info.selected_on,
    }


def load_run(folder: Path) -> tuple[TaggingModel, RunInfo]:
    """Return the trained model of a run folder, in evaluation mode, on the CPU.

    Raises:
        MissingFileError: a file of the run is absent.
        ConfigError: run.json is damaged, or the run is of another version of the system.
        StoreError: the weights are damaged or do not fit.
    """
    folder = Path(folder)
    info = read_run_info(folder)
    module = load_module("train.systems", info.system)
    if info.model_version != module.Model.VERSION:
        raise ConfigError(
            f"{folder}: trained with version {info.model_version} of {info.system}, this is "
            f"{module.Model.VERSION}. Train it again."
        )
    options = options_from(module.Options, info.options, f"{folder / RUN}: options")
    weights = {role: folder / ASSETS / role for role in module.Model.roles_for(options)}
    try:
        model = module.Model(options, info.vocabulary, weights, pretrained=False)
    except KeyError as error:
        raise ConfigError(f"{folder / RUN}: its vocabulary has no {error}. Train again.") from error
    load_weights(model, folder / WEIGHTS)
    return model.eval(), info


def weights_sha256(weights: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Return role -> file name -> checksum of a checkpoint's config, weights and tokenizer.

    Raises:
        MissingFileError: a role's folder is not there.
    """
    suffixes = {".json", ".safetensors", ".txt", ".model", ".bin"}
    sums: dict[str, dict[str, str]] = {}
    for role, folder in sorted(weights.items()):
        if not Path(folder).is_dir():
            raise MissingFileError(f"--weights {role}={folder}: no such checkpoint folder.")
        files = [path for path in sorted(Path(folder).iterdir()) if path.is_file()]
        sums[role] = {path.name: file_sha256(path) for path in files if path.suffix in suffixes}
    return sums
