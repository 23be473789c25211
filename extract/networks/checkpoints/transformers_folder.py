"""The files of a checkpoint folder in the transformers format, judged before they are opened."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError
from extract.networks.checkpoints.torch_files import check_archive, first_line, load_plain

# The files of a transformers folder that hold its weights, in the order in which it prefers them.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

# Repositories that hold, in the form of transformers, what another publishes with its own code.
_CONVERTED = {"florence2": "florence-community/Florence-2-base (or -large)"}


def find_weights(folder: Path) -> Path:
    """Return the file (or the index of the files) from which transformers reads the weights.

    Raises:
        MissingFileError: the folder holds none.
    """
    for name in _WEIGHTS:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise MissingFileError(
        f"{folder}: no weights: expected model.safetensors or pytorch_model.bin, or either in "
        f"parts with an index. {say_content(folder)} Get one of them from where the folder comes "
        "from."
    )


def say_content(folder: Path) -> str:
    """Return the sentence of an error message that says what a folder holds."""
    if not Path(folder).is_dir():
        return "There is no such folder."
    names = sorted(file.name for file in Path(folder).iterdir() if not file.name.startswith("."))
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"The folder holds {', '.join(names[:12]) or 'nothing'}{more}."


def own_code_remedy(folder: Path) -> str:
    """Say what to do about a checkpoint that was published with code of its own."""
    message = (
        "this checkpoint brings Python code of its own (`auto_map` in one of its JSON files), "
        "which is never run. Use a checkpoint of an architecture that is part of transformers"
    )
    converted = _CONVERTED.get(str(raw_config(folder).get("model_type")))
    return f"{message}; of this one {converted} is the conversion." if converted else f"{message}."


def raw_config(folder: Path) -> dict[str, Any]:
    """Return config.json as it is written; nothing where there is none or it is no object."""
    try:
        found = json.loads((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def check_indices(folder: Path) -> None:
    """See that the parts of a checkpoint in several files are files of its folder."""
    for index in sorted(Path(folder).glob("*.index.json")):
        try:
            content = json.loads(index.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DataError(f"{index}: not JSON ({first_line(error)}).") from error
        parts = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(parts, dict):
            raise DataError(f"{index}: expected an object with `weight_map`.")
        for name in parts.values():
            if not isinstance(name, str) or "\0" in name or Path(name).name != name or name == "..":
                raise DataError(
                    f"{index}: the part {name!r:.80} is not a file name in its folder. Get the "
                    "checkpoint again."
                )


def check_weight_files(folder: Path) -> None:
    """See that all files of the weights are there, and that no archive unpacks to more than it is.

    Raises:
        MissingFileError: no weights, or a part of them is missing.
        DataError: an archive is damaged or compressed.
    """
    weights = find_weights(folder)
    files = [weights]
    if weights.suffix == ".json":
        names = set(json.loads(weights.read_bytes())["weight_map"].values())
        files = [weights.with_name(name) for name in sorted(names)]
    for file in files:
        if not file.is_file():
            raise MissingFileError(
                f"{file}: no such file, but {weights.name} names it as a part of the weights. Get "
                "all parts."
            )
        if file.suffix == ".bin":
            check_archive(file)


def tensor_names(folder: Path) -> Iterable[str]:
    """Return the names of the tensors in the file or files of a checkpoint folder's weights."""
    from safetensors import safe_open

    weights = find_weights(folder)
    if weights.suffix == ".json":
        return json.loads(weights.read_bytes())["weight_map"]
    if weights.suffix == ".bin":
        return load_plain(weights, mapped=True)
    with safe_open(weights, framework="pt") as file:
        return file.keys()
