"""Reading a finished feature file, item by item."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.store.checksums import iter_texts
from extract.store.format import (
    ALL_COLUMNS,
    path_identity,
    read_outputs,
    read_vocabularies,
    reading,
)
from extract.store.opening import open_checked
from extract.tables.lazy_table import pack_texts
from extract.tables.rows import STATUS, Outputs, StoredItem, nothing_found
from extract.tables.text_index import TextIndex

_INDEX = frozenset(
    ("ids", "_index", "_offsets", "_status", "_outputs", "_vocabulary", "_attributes", "_mapped")
)
"""Attributes of a store that are read once for a process and its forks."""


class FeatureStore:
    """Read-only view of a finished feature file; opens lazily.

    Processes that are forked from one that has read an item share its index and, for numbers, its
    pages of the file; each opens the file anew only for what it takes HDF5 to read.

    Raises (on first use):
        MissingFileError: no such file.
        StoreError: not this format, another major version, not complete, or damaged where opening
            looks: everywhere but in the numbers of `/rows`, which `check_bytes` reads; or another
            file took its path meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = 0
        self._identity: tuple[int, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None, "_pid": 0, "_identity": ()}

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and forget its index; the next access opens what is there then."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file, self._identity = None, ()
        self._forget_index()

    def _forget_index(self) -> None:
        for name in _INDEX:
            self.__dict__.pop(name, None)

    def _handle(self) -> h5py.File:
        if self._file is None or self._pid != os.getpid():
            # Of a fork the parent has read the index.
            has_index = bool(self._identity)
            identity = self._identity or path_identity(self.path)
            file = open_checked(self.path)
            try:
                if not has_index:
                    self._read_index(file)
                # After all that opens the path: the seal, HDF5 and the maps.
                if path_identity(self.path) != identity:
                    raise StoreError(
                        f"{self.path}: was replaced while it was in use, so that its rows are no "
                        "longer those of the index. Run the same command again."
                    )
            except BaseException:
                file.close()
                if not has_index:
                    self._forget_index()
                raise
            # Last, so that another thread never sees an open file without its index.
            self._file, self._pid, self._identity = file, os.getpid(), identity
        return self._file

    def _read_index(self, file: h5py.File) -> None:
        with reading(self.path):
            self.ids: Sequence[str] = pack_texts(iter_texts(file["ids"]))
            self._index = TextIndex(self.ids)
            self._offsets = file["offsets"][:]
            self._status = file["status"][:]
            self._outputs = read_outputs(file)
            self._vocabulary = read_vocabularies(file)
            self._attributes = {key: file.attrs[key] for key in ("fingerprint", "id_kind")}
            rows = file.get("rows", {})
            # What is no array of numbers in one piece is read through HDF5.
            self._mapped = {name: _map(self.path, rows[name]) for name in rows}
        if self._index.first_repeat() is not None:
            raise StoreError(f"{self.path}: an id occurs twice. Make the store anew.")

    def __getattr__(self, name: str) -> Any:
        # These exist once the file has been opened, here or in the process that this is a fork of.
        if name in _INDEX:
            self._handle()
            return self.__dict__[name]
        raise AttributeError(name)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    @property
    def identity(self) -> tuple[int, ...]:
        """What tells this file from any other that takes its path."""
        self._handle()
        return self._identity

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the spec that the rows were computed with."""
        return self._attributes["fingerprint"]

    @property
    def id_kind(self) -> str:
        """`image` or `sample`."""
        return self._attributes["id_kind"]

    @property
    def outputs(self) -> Outputs:
        """The columns of the file."""
        return self._outputs

    @property
    def provenance(self) -> dict[str, Any]:
        """Format, code, spec, weights, versions and counts that made the file."""
        with reading(self.path):
            return json.loads(self._handle()["provenance"].asstr()[()])

    def item(self, key: str) -> StoredItem:
        """Return the rows of one id.

        Raises:
            StoreError: the id is not in the file, or its bytes are damaged.
        """
        index = self._place(key)
        start, end = int(self._offsets[index]), int(self._offsets[index + 1])
        columns = {name: self._read_rows(name, start, end) for name in self._mapped}
        status = int(self._status[index])
        reason = "" if status == STATUS["ok"] else self._reason(index)
        return StoredItem(status=status, reason=reason, vocabulary=self._vocabulary, **columns)

    def _place(self, key: str) -> int:
        index = self._index.find(key)
        if index is None:
            raise StoreError(f"{self.path}: no item '{key}'. Make the store anew for this set.")
        return index

    def _read_rows(self, name: str, start: int, end: int) -> np.ndarray | tuple[str, ...]:
        mapped = self._mapped[name]
        if mapped is not None:
            return np.array(mapped[start:end])
        rows = self._handle()["rows"][name]
        with reading(self.path):
            return tuple(rows.asstr()[start:end]) if name == "text" else rows[start:end]

    def _reason(self, index: int) -> str:
        reasons = self._handle()["items/reason"]
        with reading(self.path):
            return reasons.asstr()[index]

    def status_of(self, key: str) -> int:
        """Return the status of an item without reading its rows."""
        return int(self._status[self._place(key)])

    def image_size(self, key: str) -> tuple[int, int]:
        """Return (height, width) of an item's image in pixels, (0, 0) where it has none."""
        height, width = self._handle()["items/image_size"][self._place(key)]
        return int(height), int(width)

    def empty_item(self, status: int, reason: str) -> StoredItem:
        """Return an item without rows that has the columns of this store."""
        empty = nothing_found(reason, self.outputs)
        columns = {name: getattr(empty, name) for name in ALL_COLUMNS}
        columns["text"] = None if empty.text is None else ()
        return StoredItem(status, reason, vocabulary=self._vocabulary, **columns)

    def input_sha256(self) -> dict[str, str]:
        """Return id -> checksum of what its rows were computed from."""
        file = self._handle()
        with reading(self.path):
            return dict(zip(self.ids, iter_texts(file["items/input_sha256"]), strict=True))

    def status_counts(self) -> dict[str, int]:
        """Return status name -> number of items, every status named."""
        counts = np.bincount(self._status, minlength=len(STATUS))
        return {name: int(counts[code]) for name, code in STATUS.items()}

    def items(self) -> Iterator[tuple[str, StoredItem]]:
        """Yield (id, item) in manifest order."""
        for key in self.ids:
            yield key, self.item(key)


def _map(path: Path, dataset: h5py.Dataset) -> np.ndarray | None:
    """Return numbers that lie in one piece as a memory map: reading a row is then a copy.

    HDF5's own way to a row takes tens of microseconds; training does it for every image.
    """
    offset = dataset.id.get_offset()
    # None for what is chunked, empty or elsewhere.
    if offset is None or dataset.dtype.kind not in "iuf" or not dataset.dtype.isnative:
        return None
    return np.memmap(path, dataset.dtype, "r", offset, dataset.shape)
