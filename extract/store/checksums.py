"""Checksums of what feature files hold: bytes that changed on the disk are found."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import h5py
import numpy as np

MADE_EARLIER = "made by an earlier version of this program, which gave shards no checksums"

_BLOCK_BYTES = 4 * 1024 * 1024
_STRINGS_PER_BLOCK = 65536
"""As many as HDF5 itself converts at a time (1 MB of 16-byte references): larger blocks would give
the same bytes, smaller ones another order inside the file."""


def iter_blocks(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    """Yield the rows of a dataset in blocks of bounded memory."""
    row_bytes = max(1, int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize)
    # A string is an object apart: the size of its row says nothing.
    is_text = dataset.dtype == object
    step = _STRINGS_PER_BLOCK if is_text else max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(dataset), step):
        yield dataset[start : start + step]


def iter_texts(dataset: h5py.Dataset) -> Iterator[str]:
    """Yield the strings of a dataset; few are in memory at a time."""
    for block in iter_blocks(dataset):
        for value in block:
            yield value.decode("utf-8")


def write_texts(dataset: h5py.Dataset, texts: Iterable[str | bytes]) -> None:
    """Fill a dataset of strings, block by block.

    The blocks are the same whatever the strings come from, and so are the bytes of the file.
    """
    rest, start = iter(texts), 0
    while block := list(islice(rest, _STRINGS_PER_BLOCK)):
        dataset[start : start + len(block)] = np.array(block, dtype=object)
        start += len(block)


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

    What no dataset holds (attributes, names, labels) is covered by the seal, which opening checks.
    """
    datasets = checked_datasets(file)
    if file.attrs["format_version"] == "1.0" and not any("sha256" in d.attrs for d in datasets):
        return [MADE_EARLIER]
    findings = []
    for dataset in datasets:
        recorded = dataset.attrs.get("sha256")
        if recorded is None:
            findings.append(f"{dataset.name} has no checksum")
        elif recorded != content_sha256(dataset):
            findings.append(f"{dataset.name} does not match its checksum (bytes changed)")
    return findings
