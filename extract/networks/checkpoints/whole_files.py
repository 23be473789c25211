"""Whether a file of weights is whole, seen at its two ends before anything reads it.

What users meet: a download that was cut off, the page of an error under the name of a checkpoint,
and the pointer that Git leaves in place of a large file.
"""

import json
import os
import pickle
import struct
from pathlib import Path

from extract.core.errors import DamagedFileError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".json")
"""Of the files that are looked at."""

_GIT_LFS = b"version https://git-lfs"
_PAGES = (b"<!doc", b"<html", b"<?xml")
_ZIP, _LEGACY = b"PK\3\4", pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
# A zip archive ends with a record of 22 bytes; a comment may follow it.
_ZIP_END, _END_SIZE, _TAIL = b"PK\5\6", 22, 65_557


def check_whole(path: Path) -> None:
    """Refuse a file that is certainly cut off, or is something in place of the file.

    Args:
        path: of one of `SUFFIXES`; any other file passes.

    Raises:
        DamagedFileError: with the size found and, where the file states it, the size expected.
    """
    problem = _problem(path) if path.suffix in SUFFIXES else ""
    if problem:
        raise damaged(path, problem)


def damaged(path: Path, problem: str) -> DamagedFileError:
    """Return the error of a file that is not whole, with the size found and what shows it."""
    size = path.stat().st_size
    return DamagedFileError(
        f"{path}: damaged or incomplete, {size:,} bytes found: {problem}. Get the file again."
    )


def is_legacy_torch(path: Path) -> bool:
    """Return whether a file is in the format of torch before 1.6, whose end shows nothing."""
    with path.open("rb") as file:
        return file.read(len(_LEGACY)) == _LEGACY


def _problem(path: Path) -> str:
    """Return what is wrong with a file, empty where nothing is seen."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_GIT_LFS))
        file.seek(-min(size, _TAIL), os.SEEK_END)
        last = file.read()
    has_end = 0 <= last.rfind(_ZIP_END) <= len(last) - _END_SIZE
    if not start:
        return "it is empty"
    if start == _GIT_LFS:
        return "it is the pointer that Git LFS leaves in place of a file (`git lfs pull` gets it)"
    if start.lstrip()[:5].lower() in _PAGES:
        return "it is a page of a web site, not the file"
    if path.suffix == ".json":
        return _problem_of_json(path)
    if path.suffix == ".safetensors":
        return _problem_of_safetensors(path, size)
    is_cut = start.startswith(_ZIP) and not has_end
    return "the archive has a beginning and no end" if is_cut else ""


def _problem_of_json(path: Path) -> str:
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    return ""


def _problem_of_safetensors(path: Path, size: int) -> str:
    """Compare the size with what the header says, which names the end of each tensor."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            return "it ends within its header"
        (length,) = struct.unpack("<Q", start)
        if 8 + length > size:
            return f"its header alone takes {8 + length:,} bytes"
        header = file.read(length)
    try:
        tensors = json.loads(header)
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name[:2] != "__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return "its header is not that of a safetensors file"
    return "" if size == expected else f"{expected:,} bytes expected by its header"
