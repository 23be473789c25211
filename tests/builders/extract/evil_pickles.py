"""Torch files that run code when they are unpickled: it writes MARKER, which must never appear."""

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Evil:
    """Its pickle calls a function that writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"touch '{self.marker}'",)


def as_zip(path: Path, content: Any) -> None:
    """Write as torch does today."""
    torch.save(content, path)


def as_legacy(path: Path, content: Any) -> None:
    """Write as torch did before 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_pickle(path: Path, content: Any) -> None:
    """Write a bare pickle."""
    path.write_bytes(pickle.dumps(content))


def as_tar(path: Path, content: Any) -> None:
    """Write a tar with a link out of it, as torch read before 0.2."""
    inner = path.with_name("pickle")
    inner.write_bytes(pickle.dumps(content))
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "tensors"):
            archive.add(inner, name)
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(link)
    inner.unlink()


def as_compressed(path: Path, content: Any) -> None:
    """Write a zip that unpacks to a thousand times its size."""
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        parts = [(entry, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in parts:
            archive.writestr(entry.filename, data)


FORMATS = {
    "zip": as_zip,
    "legacy": as_legacy,
    "pickle": as_pickle,
    "tar": as_tar,
    "compressed": as_compressed,
}
