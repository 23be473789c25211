"""Checksums of what feature files hold: bytes that changed on the disk are found."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from extract.store.seal import is_sealed

_BLOCK_BYTES = 32 * 1024 * 1024


def iter_blocks(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    """Yield the rows of a dataset in blocks of bounded memory."""
    row_bytes = max(1, int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize)
    step = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(dataset), step):
        yield dataset[start : start + step]


def content_sha256(dataset: h5py.Dataset) -> str:
    """Return the checksum of a dataset's values (strings: UTF-8, each closed by a zero byte)."""
    digest = hashlib.sha256()
    for block in iter_blocks(dataset):
        if block.dtype == object:
            for value in block:
                digest.update(value + b"\0")
        else:
            digest.update(np.ascontiguousarray(block))
    return digest.hexdigest()


def add_checksums(file: h5py.File) -> None:
    """Give every dataset of `/rows`, `/items`, `/vocab` and the index its checksum."""
    for dataset in checked_datasets(file):
        dataset.attrs["sha256"] = content_sha256(dataset)


def checked_datasets(file: h5py.File) -> list[h5py.Dataset]:
    """Return the datasets that carry a checksum, in a fixed order."""
    groups = [group for group in ("items", "rows", "vocab") if group in file]
    names = [f"{group}/{name}" for group in groups for name in sorted(file[group])]
    return [file[name] for name in ("ids", "status", "offsets", *names)]


def changed_datasets(file: h5py.File) -> list[str]:
    """Say, a line each, which datasets have no checksum or another content.

    What no dataset holds (attributes, names, labels) is covered by the seal, which opening checks;
    here it only has to be there.
    """
    findings = []
    if file.attrs["format_version"] != "1.0" and not is_sealed(Path(file.filename)):
        findings.append("the seal at the end is missing (cut off, or changed by another program)")
    for dataset in checked_datasets(file):
        recorded = dataset.attrs.get("sha256")
        if recorded is None:
            findings.append(f"{dataset.name} has no checksum")
        elif recorded != content_sha256(dataset):
            findings.append(f"{dataset.name} does not match its checksum (bytes changed)")
    return findings
