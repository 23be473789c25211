"""Run folders from checkpoints of the authors' code, and back.

Only tensors are read: whatever else a pickle would run or build is refused, or stays inert.
"""

import dataclasses
import importlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.core import provenance
from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, DataError, MissingFileError, near_match
from extract.core.files import atomic_path, write_text
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.networks.checkpoints.torch_files import load_plain
from train import systems
from train.data.examples import FeatureSource
from train.data.word_vectors import PAD, UNK
from train.systems.base import TaggingModel, count_parameters
from train.systems.ita import released_checkpoint
from train.systems.released import Converter, Released
from train.training.recipe import Recipe
from train.training.run_folder import checkpoint
from train.training.run_spec import check_roles, check_weights_roles


@dataclass(frozen=True)
class ImportJob:
    """What one `import-checkpoint` is asked to do."""

    system: str
    checkpoint: Path
    """State dict that the authors' code saved with `torch.save`; for ITA also all that it saves."""
    out: Path
    entity_types: list[str]
    """In the order of the checkpoint's tags, where it does not name them."""
    options: dict[str, Any] = field(default_factory=dict)
    """What differs from the options of the released code."""
    weights: dict[str, Path] = field(default_factory=dict)
    """Role -> checkpoint folder; config and tokenizer are taken from it, its tensors are not."""
    tables: dict[str, Path] = field(default_factory=dict)
    """Name of a table -> file of one symbol a line, in the order of the rows."""
    stores: dict[str, Path] = field(default_factory=dict)
    """Role -> a store of the features that the run is to expect."""


def import_checkpoint(job: ImportJob) -> dict[str, Any]:
    """Write a run folder with the weights of a checkpoint.

    Returns:
        What the last log line says: system, numbers of tensors and parameters.

    Raises:
        MnerError: an unknown system, wrong options, or tensors that are not the model's.
    """
    converter = converter_of(job.system)
    if (job.out / checkpoint.WEIGHTS).exists():
        raise ConfigError(f"{job.out}: holds a finished run already. Name another folder.")
    module = load_module("train.systems", job.system)
    found = read_released(job, converter)
    changes = {**converter.told(found), **job.options}
    options = released_options(module.Options, found.options, changes)
    check_weights_roles(job.system, module.Model.roles_for(options), job.weights)
    fingerprints = {}
    if job.stores:
        check_roles(job.system, module.Model.required_features(options), job.stores)
        with FeatureSource(job.stores) as source:
            fingerprints = source.fingerprints
    vocabulary: dict[str, Any] = {"entity_types": list(job.entity_types)}
    if "words" in found.tables:
        vocabulary |= {**found.tables, "singletons": []}
    model = module.Model(options, vocabulary, job.weights, False)
    fill(model, found, converter, f"{job.checkpoint} as {job.system}")
    info = checkpoint.RunInfo(
        run=f"{job.system}_imported",
        dataset="",
        system=job.system,
        variant="main",
        seed=0,
        options=dataclasses.asdict(options),
        recipe=Recipe(precision="fp32"),
        entity_types=list(job.entity_types),
        vocabulary=vocabulary,
        fingerprints=fingerprints,
        weights_sha256={"checkpoint": {job.checkpoint.name: file_sha256(job.checkpoint)}},
        n_parameters=count_parameters(model),
        selected_on="elsewhere",
        model_version=module.Model.VERSION,
        code=provenance.code_version(),
        packages=provenance.package_versions(),
    )
    _write_run(job.out, model, info)
    return {"system": job.system, "n_tensors": len(found.state), "n_parameters": info.n_parameters}


def export_checkpoint(run: Path, out: Path) -> dict[str, Any]:
    """Write the state dict that the authors' code loads, and beside it the symbol tables, if any.

    Returns:
        What the last log line says: system and number of tensors.

    Raises:
        MnerError: not a finished run, or a model that the authors' code does not have.
    """
    model, info = checkpoint.load_run(run)
    found = converter_of(info.system).to_theirs(model)
    # An open file: given a path, torch.save would write its name into the archive.
    with atomic_path(out) as tmp, tmp.open("wb") as file:
        torch.save(dict(found.state), file)
    for name, symbols in found.tables.items():
        write_text(table_path(out, name), "\n".join(symbols) + "\n")
    return {"system": info.system, "n_tensors": len(found.state)}


def table_path(out: Path, name: str) -> Path:
    """Return where a table of an exported checkpoint is."""
    return out.with_name(f"{out.name}.{name}")


def released_options(
    options_class: type, found: dict[str, Any] | None, changes: Mapping[str, Any]
) -> Any:
    """Return the options that a checkpoint names, or those of the released code, and the changes.

    Raises:
        ConfigError: an unknown option, or a value of the wrong type.
    """
    released = dataclasses.asdict(options_class.upstream()) if found is None else found
    return options_from(options_class, {**released, **changes}, "--options")


def read_released(job: ImportJob, converter: Converter) -> Released:
    """Read a checkpoint and its tables.

    Raises:
        ConfigError: a table is missing, or is none of the system's.
        DataError: a file is not what it should be.
        MissingFileError: no such file.
    """
    if job.system == "ita" and not job.tables:  # the released code keeps all in one pickle
        whole = released_checkpoint.read_checkpoint(job.checkpoint)
        return Released(whole.state, {"states": whole.states}, dataclasses.asdict(whole.options))
    if set(job.tables) != set(converter.tables):
        raise ConfigError(
            f"--table: {job.system} needs {', '.join(converter.tables) or 'none'}, "
            f"got {', '.join(sorted(job.tables)) or 'none'}."
        )
    tables = {name: _read_table(path) for name, path in job.tables.items()}
    for name in {"words", "chars"} & set(tables):
        if tables[name][:2] != [PAD, UNK]:
            raise DataError(
                f"{job.tables[name]}: expected {PAD} and {UNK} first, got {tables[name][:2]}."
            )
    return Released(read_state(job.checkpoint), tables)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises:
        MissingFileError: no such file.
        DataError: not a file of torch, or more in it than tensors by name.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such checkpoint.")
    remedy = "In the authors' code write torch.save(model.state_dict(), file), and import that."
    state = load_plain(path, remedy=remedy)
    if not isinstance(state, Mapping):
        raise DataError(f"{path}: expected a state dict, got {type(state).__name__}.")
    others = [str(name) for name, tensor in state.items() if not isinstance(tensor, Tensor)]
    if others:
        raise DataError(
            f"{path}: expected tensors only, but {', '.join(others[:3])} is none. Save the state "
            "dict alone."
        )
    return dict(state)


def fill(model: TaggingModel, released: Released, converter: Converter, what: str) -> None:
    """Put a converted checkpoint into a model, every tensor of it.

    Raises:
        DataError: names or shapes differ.
    """
    try:
        found = converter.to_ours(released, model)
    except RuntimeError as error:  # a tensor cannot even be rearranged
        raise DataError(f"{what}: a tensor has another shape ({error}).") from error
    expected = model.state_dict()
    for name in (*expected, *found):
        if name not in found or name not in expected:
            place = "the checkpoint" if name not in found else "the model"
            raise DataError(f"{what}: {place} has no {name}. Check --options.")
        if found[name].shape != expected[name].shape:
            raise DataError(
                f"{what}: {name} has shape {tuple(found[name].shape)}, expected "
                f"{tuple(expected[name].shape)}. Check --options, --weights, --entity-types."
            )
    model.load_state_dict(found)


def _read_table(path: Path) -> list[str]:
    """Return the symbols of a file, one a line, without blanks at either end."""
    text = path.read_text(encoding="utf-8").removesuffix("\n")
    # Only "\n" ends a line: a symbol may be another break that splitlines() follows.
    return [line.strip() for line in text.split("\n")]


def _write_run(out: Path, model: TaggingModel, info: checkpoint.RunInfo) -> None:
    """Write assets, run.json and, last, the weights."""
    assets = out / checkpoint.ASSETS
    shutil.rmtree(assets, ignore_errors=True)
    assets.mkdir(parents=True)
    model.save_assets(assets)
    checkpoint.write_run_info(out, info)
    checkpoint.save_weights(model, out / checkpoint.WEIGHTS)


def converter_of(system: str) -> Converter:
    """Return the converter of a system.

    Raises:
        ConfigError: there is none.
    """
    folder = Path(systems.__file__).parent
    known = sorted(path.parent.name for path in folder.glob("*/released_checkpoint.py"))
    if system not in known:
        raise ConfigError(
            f"no converter for the system '{system}'; there are some for: "
            f"{', '.join(known)}.{near_match(system, known)}"
        )
    return importlib.import_module(f"train.systems.{system}.released_checkpoint").CONVERTER
