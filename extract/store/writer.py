"""Writing one shard: append, flush, survive a kill, continue."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.errors import StoreError
from extract.extractors.base import ItemFeatures
from extract.manifest import STATUS, STATUS_NAMES
from extract.store.format import (
    ALL_COLUMNS,
    Header,
    as_stored,
    describe,
    open_file,
    read_outputs,
    row_columns,
    write_frame,
)

_CHUNK_BYTES = 256 * 1024

# HDF5 strings end at a NUL, and lone surrogates have no UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

# What h5py raises for a file that a kill or a bad disk left half written.
_DAMAGED = (OSError, KeyError, RuntimeError, ValueError)


class FeatureWriter:
    """Append-only writer of one shard that survives a kill at any moment.

    Args:
        partial: file under construction; continued when it belongs to the same header.
        header: identity of the shard.

    After each `append` the rows are flushed before `n_done` is, so a later run cuts back to
    `n_done` items and continues. `n_done` and `note` tell what was found.
    """

    def __init__(self, partial: Path, header: Header) -> None:
        self.path, self.header = Path(partial), header
        self.note = ""
        """Why an existing partial file was not continued; empty when there was none."""
        self._columns = row_columns(header.outputs)
        self._file = self._resume() or self._create()
        self.n_done = int(self._file.attrs["n_done"])
        self._n_rows = int(self._file["offsets"][self.n_done])

    def _create(self) -> h5py.File:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open_file(self.path, "w")
        write_frame(file, self.header)
        for name, (shape, dtype, labels, unit) in self._columns.items():
            row_bytes = max(1, int(np.prod(shape)) * (np.dtype(dtype).itemsize))
            chunk = (max(1, _CHUNK_BYTES // row_bytes), *shape)
            dataset = file.create_dataset(
                f"rows/{name}",
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=chunk,
                dtype=dtype,
            )
            describe(dataset, labels, unit, self.header.outputs)
        file.attrs["n_done"] = 0
        file.flush()
        return file

    def _resume(self) -> h5py.File | None:
        """Open the partial file and cut it back to `n_done`, or say in `note` why not."""
        if not self.path.exists():
            return None
        try:
            file = open_file(self.path, "r+")
        except OSError as error:
            self.note = f"cannot be opened ({error})"
            return None
        try:
            self.note = self._why_not(file)
            if not self.note:
                self._cut_back(file)
        except _DAMAGED as error:
            self.note = f"is damaged ({error})"
        if self.note:
            file.close()
            return None
        return file

    def _why_not(self, file: h5py.File) -> str:
        """Say why an open partial file cannot be continued; empty when it can."""
        if "n_done" not in file.attrs:
            return "was stopped before its first batch"
        expected = {"fingerprint": self.header.fingerprint, "ids_sha256": self.header.ids_sha256}
        for key, value in expected.items():
            if file.attrs.get(key) != value:
                return f"has another {key}"
        if read_outputs(file) != as_stored(self.header.outputs):
            return "has other columns"
        return ""

    def _cut_back(self, file: h5py.File) -> None:
        n_rows = int(file["offsets"][int(file.attrs["n_done"])])
        for name in self._columns:
            file[f"rows/{name}"].resize(n_rows, axis=0)
        if "provenance" in file:
            # It was killed between its last item and its renaming.
            del file["provenance"]

    def append(self, results: Sequence[ItemFeatures]) -> None:
        """Write the next items, in order, and flush.

        Raises:
            StoreError: a result breaks the declared outputs, is not finite or overflows.
        """
        start = self.n_done
        ids = self.header.ids[start : start + len(results)]
        blocks = {name: [] for name in self._columns}
        for image_id, result in zip(ids, results, strict=True):
            self._check_contract(image_id, result)
            for name in self._columns:
                blocks[name].append(self._cast(name, getattr(result, name), image_id, result))
        sizes = np.array([result.n_rows for result in results], dtype=np.int64)
        end_rows = self._n_rows + int(sizes.sum())
        for name, parts in blocks.items():
            dataset = self._file[f"rows/{name}"]
            dataset.resize(end_rows, axis=0)
            if end_rows > self._n_rows:
                dataset[self._n_rows : end_rows] = np.concatenate(parts)
        stop = start + len(results)
        self._file["offsets"][start + 1 : stop + 1] = self._n_rows + np.cumsum(sizes)
        self._file["status"][start:stop] = [result.status for result in results]
        self._file["items/reason"][start:stop] = [result.reason for result in results]
        self._file.flush()
        self._file.attrs["n_done"] = stop
        self._file.flush()
        self.n_done, self._n_rows = stop, end_rows

    def _check_contract(self, image_id: str, result: ItemFeatures) -> None:
        """An item has rows exactly when it is ok, and a reason exactly when it is not."""
        if (result.status == STATUS["ok"]) != (result.n_rows > 0):
            status = STATUS_NAMES[result.status]
            raise StoreError(f"item '{image_id}': status {status} with {result.n_rows} rows")
        if result.status != STATUS["ok"] and not result.reason:
            raise StoreError(f"item '{image_id}': status is not ok but no reason is given")
        for name in ALL_COLUMNS:
            if getattr(result, name) is not None and name not in self._columns:
                raise StoreError(f"item '{image_id}': column '{name}' is returned but not declared")

    def _cast(self, name: str, value: Any, image_id: str, result: ItemFeatures) -> np.ndarray:
        shape, dtype, _, _ = self._columns[name]
        if value is None and result.n_rows:
            raise StoreError(f"item '{image_id}': column '{name}' is declared but was not returned")
        array = np.zeros((0, *shape), dtype) if value is None else _as_array(name, value)
        if array.shape != (result.n_rows, *shape):
            raise StoreError(
                f"item '{image_id}': {name} should be {(result.n_rows, *shape)}, got {array.shape}"
            )
        if name == "text":
            _check_text(image_id, array)
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(dtype, copy=False)
        if cast.dtype.kind in "ui" and (cast != array).any():
            raise StoreError(f"item '{image_id}': {name} are not whole numbers in {dtype}'s range")
        if name in ("features", "boxes") and not np.isfinite(cast).all():
            peak = np.abs(array[np.isfinite(array)]).max(initial=0)
            raise StoreError(
                f"item '{image_id}': {name} are not finite as {dtype} (largest value {peak:g}). "
                "Store them as float32 or scale them."
            )
        return cast

    def finish(self, out: Path, provenance: dict[str, Any]) -> None:
        """Mark complete and rename to `out`.

        Raises:
            StoreError: items are still missing.
        """
        n = len(self.header.ids)
        if self.n_done != n:
            raise StoreError(f"{self.path}: {self.n_done} of {n} items done, cannot be finished")
        self._file.create_dataset("provenance", data=json.dumps(provenance, sort_keys=True))
        self._file.attrs["complete"] = True
        self.close()
        _sync(self.path)
        os.replace(self.path, out)

    @property
    def is_open(self) -> bool:
        """True until `finish` or `close`."""
        return bool(self._file)

    def close(self) -> None:
        """Close the file; what was appended stays."""
        self._file.close()


def _as_array(name: str, value: Any) -> np.ndarray:
    return np.array([str(v) for v in value], dtype=object) if name == "text" else np.asarray(value)


def _check_text(image_id: str, texts: np.ndarray) -> None:
    for text in texts:
        if _UNSTORABLE.search(text):
            raise StoreError(f"item '{image_id}': text {text[:40]!r} cannot be stored as UTF-8")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
