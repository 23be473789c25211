"""Torch files from anywhere, read without running or unpacking what is in them.

A torch file is a pickle, which may call any function while it is read. Torch's weights-only loader
builds tensors and plain containers and refuses the rest. It still unpacks archives: one that is
compressed can grow a thousandfold, and torch never writes such.
"""

import os
import pickle
import re
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError
from extract.core.system import raise_if_refused
from extract.networks.checkpoints.whole_files import check_whole, damaged

# What torch and pickle raise for files that are broken, or hold other objects; some of it also
# where nothing is wrong with the file, see `raise_unless_broken`.
BROKEN = (
    pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RuntimeError, EOFError, ValueError,
    TypeError, AttributeError, AssertionError, LookupError, OverflowError, MemoryError, OSError,
)  # fmt: skip
# How torch says that it got no memory.
_NO_MEMORY = re.compile(r"can't allocate memory|Cannot allocate memory|not enough memory")
# The last records of a zip archive (APPNOTE.TXT 4.3.14 to 4.3.16), in the order of the file.
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# How torch and pickle say that a file ends too early.
_CUT_OFF = re.compile(r"unexpected EOF|Ran out of input|truncated|^EOFError$")
# What the weights-only reader found, in the middle of advice to read with another one.
_FOUND = re.compile(r"WeightsUnpickler error:\s*(.+)", re.DOTALL)
# Sentences of libraries that advise to run what is in a file.
_UNSAFE = re.compile(r"weights_only|safe_globals|trust|arbitrary code", re.IGNORECASE)


def load_plain(path: Path, *, mapped: bool = False, remedy: str = "") -> Any:
    """Return what a torch file holds: tensors, containers, strings and numbers, on the CPU.

    Args:
        path: of `torch.save`.
        mapped: leave the tensors of a file in the zip format on disk.
        remedy: what to do about a file with other objects.

    Raises:
        DataError: it is damaged, compressed, or holds other objects, none of which is built.
        MissingFileError: no such file.
        OSError: the operating system refused to read it.
    """
    import torch

    if not path.is_file():
        raise MissingFileError(f"{path}: no such file.")
    check_whole(path)
    check_archive(path)
    is_zip = zipfile.is_zipfile(path)  # files from before torch 1.6 are not, and cannot be mapped
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and is_zip)
    except BROKEN as error:
        raise_unless_broken(error, path)
        if is_cut_off(error):
            raise damaged(path, first_line(error)) from error
        raise DataError(
            f"{path}: not a torch file of plain tensors ({first_line(error)}). Other pickles can "
            "run code and are not opened. "
            + (remedy or "Compare its checksum with the source's, or get it as safetensors.")
        ) from error


def raise_unless_broken(error: BaseException, path: Path) -> None:
    """Raise what is no word about the content of a file that could not be read.

    Args:
        error: one of `BROKEN`.
        path: of the file.

    Raises:
        OSError: the operating system refused to read it.
        DataError: it takes more memory than there is.
    """
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        raise DataError(
            f"{path}: reading it takes more memory than there is ({first_line(error)}). Free some "
            "or allow the job more; if the file itself is small, it is damaged."
        ) from error
    raise_if_refused(error, path)


def is_cut_off(error: BaseException) -> bool:
    """Return whether torch or pickle say that a file ends too early."""
    return bool(_CUT_OFF.search(str(error).strip() or type(error).__name__))


def check_archive(path: Path) -> None:
    """Refuse archives that unpack to more than they are, or elsewhere.

    Raises:
        OSError: the operating system refused to read it.
        DataError: a compressed or overlapping zip, one in which readers may find different
            directories, or a tar (before torch 0.2; it may hold links).
    """
    try:
        if zipfile.is_zipfile(path) or _begins_as_zip(path):
            if not _has_plain_end(path):
                raise DataError(
                    f"{path}: expected a torch file, whose directory of parts ends where the last "
                    "records of the archive begin; got something between, or a record elsewhere. "
                    "The file is damaged or was not written by torch: get it again."
                )
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
            packed = [e.filename for e in entries if e.compress_type != zipfile.ZIP_STORED]
            if packed or sum(e.file_size for e in entries) > path.stat().st_size:
                raise DataError(
                    f"{path}: expected a torch file, whose parts are stored as they are; got a "
                    f"compressed archive ({', '.join(packed[:2]) or 'parts that overlap'})."
                )
        elif tarfile.is_tarfile(path):
            raise DataError(f"{path}: a tar archive, as torch wrote before 0.2. Save it anew.")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise_if_refused(error, path)
        raise DataError(f"{path}: a damaged archive ({first_line(error)}).") from error


def _begins_as_zip(path: Path) -> bool:
    """Torch goes by this alone where `zipfile` looks for the end."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def _has_plain_end(path: Path) -> bool:
    """Return whether the central directory ends right where the archive's last records begin.

    Torch takes the directory from where the records say. `zipfile` takes it from before them.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(-min(size, _END64.size + _LOCATOR64.size + _END.size), os.SEEK_END)
        tail = file.read()
    if len(tail) < _END.size:
        return False
    magic, *_, length, start, n_comment = _END.unpack(tail[-_END.size :])
    if magic != b"PK\5\6" or n_comment:
        return False
    records, tail = _END.size, tail[: -_END.size]
    if tail[-_LOCATOR64.size :].startswith(b"PK\6\7"):
        if len(tail) < _END64.size + _LOCATOR64.size:
            return False
        records += len(tail)
        magic, *_, length, start = _END64.unpack(tail[: _END64.size])
        _, _, position, _ = _LOCATOR64.unpack(tail[_END64.size :])
        if magic != b"PK\6\6" or position != size - records:
            return False
    return start + length == size - records


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that is no advice to read a file unsafely.

    Colours that torch gives it are left out, too.
    """
    text = _COLOUR.sub("", str(error)).strip()
    found = _FOUND.search(text)
    for line in (found[1] if found else text).splitlines():
        sentences = [s for s in re.split(r"(?<=[.!]) ", line) if not _UNSAFE.search(s)]
        kept = "".join(filter(str.isprintable, " ".join(sentences))).strip()
        if kept:
            return kept[:200].rstrip(".")
    return type(error).__name__
