"""Reading a finished feature file, item by item."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.errors import StoreError
from extract.extractors.base import Outputs, nothing_found
from extract.manifest import STATUS
from extract.store.format import (
    ALL_COLUMNS,
    StoredItem,
    open_checked,
    read_outputs,
    read_vocabularies,
    reading,
)


class FeatureStore:
    """Read-only view of a finished feature file; opens lazily, once a process.

    Raises (on first use):
        MissingFileError: no such file.
        StoreError: not this format, another major version, not complete, or damaged where opening
            looks: everywhere but in the numbers of `/rows`, which `check_bytes` reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None, "_pid": 0}

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next access opens it again."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def _handle(self) -> h5py.File:
        if self._file is None or self._pid != os.getpid():
            file = open_checked(self.path)
            with reading(self.path):
                self.ids: list[str] = file["ids"].asstr()[:].tolist()
                self._index = {image_id: i for i, image_id in enumerate(self.ids)}
                self._offsets = file["offsets"][:]
                self._status = file["status"][:]
                self._vocabulary = read_vocabularies(file)
                rows = file.get("rows", {})
                self._columns = {name: _map(self.path, rows[name]) for name in rows}
            if len(self._index) != len(self.ids):
                file.close()
                raise StoreError(f"{self.path}: an id occurs twice. Make the store anew.")
            # Last, so that another thread never sees an open file without its index.
            self._file, self._pid = file, os.getpid()
        return self._file

    def __getattr__(self, name: str) -> Any:
        # These exist once the file is open.
        if name in ("ids", "_index", "_offsets", "_status", "_vocabulary", "_columns"):
            self._handle()
            return self.__dict__[name]
        raise AttributeError(name)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._index

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the spec that the rows were computed with."""
        return self._handle().attrs["fingerprint"]

    @property
    def id_kind(self) -> str:
        """`image` or `sample`."""
        return self._handle().attrs["id_kind"]

    @property
    def outputs(self) -> Outputs:
        """The columns of the file."""
        return read_outputs(self._handle())

    @property
    def provenance(self) -> dict[str, Any]:
        """Format, code, spec, weights, versions and counts that made the file."""
        with reading(self.path):
            return json.loads(self._handle()["provenance"].asstr()[()])

    def item(self, image_id: str) -> StoredItem:
        """Return the rows of one id.

        Raises:
            StoreError: the id is not in the file, or its bytes are damaged.
        """
        file = self._handle()
        index = self._index.get(image_id)
        if index is None:
            raise StoreError(
                f"{self.path}: no item '{image_id}'. Make the store anew for this set."
            )
        start, end = int(self._offsets[index]), int(self._offsets[index + 1])
        columns: dict[str, Any] = {
            name: np.array(column[start:end])
            for name, column in self._columns.items()
            if name != "text"
        }
        status = int(self._status[index])
        with reading(self.path):
            if "text" in self._columns:
                columns["text"] = tuple(self._columns["text"].asstr()[start:end])
            reason = "" if status == STATUS["ok"] else file["items/reason"].asstr()[index]
        return StoredItem(status=status, reason=reason, vocabulary=self._vocabulary, **columns)

    def status_of(self, image_id: str) -> int:
        """Return the status of an item without reading its rows."""
        return int(self._status[self._index[image_id]])

    def image_size(self, image_id: str) -> tuple[int, int]:
        """Return (height, width) of an item's image in pixels, (0, 0) where it has none."""
        height, width = self._handle()["items/image_size"][self._index[image_id]]
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
            checksums = file["items/input_sha256"].asstr()[:]
        return dict(zip(self.ids, checksums, strict=True))

    def status_counts(self) -> dict[str, int]:
        """Return status name -> number of items, every status named."""
        counts = np.bincount(self._status, minlength=len(STATUS))
        return {name: int(counts[code]) for name, code in STATUS.items()}

    def items(self) -> Iterator[tuple[str, StoredItem]]:
        """Yield (id, item) in manifest order."""
        for image_id in self.ids:
            yield image_id, self.item(image_id)


def _map(path: Path, dataset: h5py.Dataset) -> np.ndarray | h5py.Dataset:
    """Return numbers that lie in one piece as a memory map: reading a row is then a copy.

    HDF5's own way to a row takes tens of microseconds; training does it for every image.
    """
    offset = dataset.id.get_offset()
    # None for what is chunked, empty or elsewhere.
    if offset is None or dataset.dtype.kind not in "iuf" or not dataset.dtype.isnative:
        return dataset
    return np.memmap(path, dataset.dtype, "r", offset, dataset.shape)
