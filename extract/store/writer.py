"""Writing one shard: a part a batch, so that a killed run continues."""

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.store.checksums import MADE_EARLIER, add_checksums, changed_datasets
from extract.store.format import (
    ALL_COLUMNS,
    Header,
    as_stored,
    create_column,
    read_outputs,
    reading,
    row_columns,
    write_frame,
)
from extract.store.merge import join_files
from extract.store.new_file import new_file
from extract.store.opening import open_checked
from extract.tables.rows import STATUS, STATUS_NAMES, ItemFeatures

# HDF5 strings end at a NUL, and lone surrogates have no UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class FeatureWriter:
    """Writer of one shard that survives a kill at any moment.

    Args:
        partial: folder of the shard under construction; continued when it belongs to the header.
        header: identity of the shard.
        set_aside: takes away a part that cannot be continued from; by default it is deleted.

    Raises:
        OSError: the operating system refused to read a part; all of them stay.

    Each `append` writes a small feature file of its own into the folder, whole or not at all, and
    `finish` joins them. One file that grows would be simpler, but HDF5 does not survive it: of a
    run killed between two calls, the strings may point to what was never written, and continuing
    ends in errors or in a crash of the library.
    """

    def __init__(
        self, partial: Path, header: Header, *, set_aside: Callable[[Path], None] = Path.unlink
    ) -> None:
        self.path, self.header = Path(partial), header
        self._set_aside = set_aside
        self.n_done = 0
        self.note = ""
        """Why an existing partial result was not continued, or not wholly; empty otherwise."""
        self._columns = row_columns(header.outputs)
        self._parts: list[Path] = []
        if self.path.is_file():
            self.note = "is a file, not a folder of parts"
            self.path.unlink()
        self.path.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _resume(self) -> None:
        """Keep the parts that are the shard's next items, up to the first that is not."""
        for path in sorted(self.path.iterdir()):
            if path.suffix != ".h5":
                path.unlink()  # left by a killed writer
                continue
            if not self.note:
                self.note = self._why_not(path)
            if self.note:
                # After a gap too.
                self._set_aside(path)
            else:
                self._parts.append(path)

    def _why_not(self, path: Path) -> str:
        """Count the items of a part as done, or say why they are not the next ones.

        Raises:
            OSError: the operating system refused to read it, which says nothing of the part.
        """
        try:
            with reading(path), open_checked(path) as file:
                stop = self.n_done + int(file.attrs["n_items"])
                expected = self._part_header(self.n_done, stop)
                for key in ("fingerprint", "ids_sha256"):
                    if file.attrs[key] != getattr(expected, key):
                        return f"has another {key}"
                if read_outputs(file) != as_stored(self.header.outputs):
                    return "has other columns"
                if findings := changed_datasets(file):
                    is_old = findings == [MADE_EARLIER]
                    return f"was {MADE_EARLIER}" if is_old else f"is damaged ({findings[0]})"
        except StoreError as error:
            return f"is damaged ({error})"
        self.n_done = stop
        return ""

    def _part_header(self, start: int, stop: int) -> Header:
        return replace(
            self.header,
            ids=self.header.ids[start:stop],
            input_sha256=self.header.input_sha256[start:stop],
            image_size=self.header.image_size[start:stop],
        )

    def append(self, results: Sequence[ItemFeatures]) -> None:
        """Write the next items, in order; when this returns, no kill can lose them.

        Raises:
            StoreError: a result breaks the declared outputs, is not finite or overflows.
        """
        header = self._part_header(self.n_done, self.n_done + len(results))
        blocks: dict[str, list[np.ndarray]] = {name: [] for name in self._columns}
        for key, result in zip(header.ids, results, strict=True):
            self._check_contract(key, result)
            for name in self._columns:
                blocks[name].append(self._cast(name, getattr(result, name), key, result))
        # Eight digits: more items than a shard ever has, so that names sort as numbers.
        part = self.path / f"{self.n_done:08d}.h5"
        with new_file(part) as file:
            _write_part(file, header, results, blocks)
        self._parts.append(part)
        self.n_done += len(results)

    def _check_contract(self, key: str, result: ItemFeatures) -> None:
        """An item has rows exactly when it is ok, and a reason exactly when it is not."""
        if (result.status == STATUS["ok"]) != (result.n_rows > 0):
            status = STATUS_NAMES[result.status]
            raise StoreError(f"item '{key}': status {status} with {result.n_rows} rows")
        if result.status != STATUS["ok"] and not result.reason:
            raise StoreError(f"item '{key}': status is not ok but no reason is given")
        for name in ALL_COLUMNS:
            if getattr(result, name) is not None and name not in self._columns:
                raise StoreError(f"item '{key}': column '{name}' is returned but not declared")

    def _cast(self, name: str, value: Any, key: str, result: ItemFeatures) -> np.ndarray:
        shape, dtype, _, _ = self._columns[name]
        if value is None and result.n_rows:
            raise StoreError(f"item '{key}': column '{name}' is declared but was not returned")
        array = np.zeros((0, *shape), dtype) if value is None else _as_array(name, value)
        if array.shape != (result.n_rows, *shape):
            raise StoreError(
                f"item '{key}': {name} should be {(result.n_rows, *shape)}, got {array.shape}"
            )
        if name == "text":
            _check_text(key, array)
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(dtype, copy=False)
        if cast.dtype.kind in "ui" and (cast != array).any():
            raise StoreError(f"item '{key}': {name} are not whole numbers in {dtype}'s range")
        if name in ("features", "boxes") and not np.isfinite(cast).all():
            peak = np.abs(array[np.isfinite(array)]).max(initial=0)
            raise StoreError(
                f"item '{key}': {name} are not finite as {dtype} (largest value {peak:g}). "
                "Store them as float32 or scale them."
            )
        return cast

    def finish(
        self,
        out: Path,
        provenance: dict[str, Any],
        *,
        keep: Callable[[Path], object] = lambda out: None,
    ) -> None:
        """Join the parts to `out` and remove them.

        Args:
            out: the shard.
            provenance: of the shard.
            keep: is given `out` while the parts are still there, for a caller that wants its rows
                to outlive a kill at any moment.

        Raises:
            StoreError: items are still missing.
        """
        n = len(self.header.ids)
        if self.n_done != n:
            raise StoreError(f"{self.path}: {self.n_done} of {n} items done, cannot be finished")
        joined = self.path / "joined"
        with new_file(joined) as file:
            join_files(self._parts, self.header, file)
            add_checksums(file)
            file.create_dataset("provenance", data=json.dumps(provenance, sort_keys=True))
            file.attrs["complete"] = True
        os.replace(joined, out)
        keep(out)
        shutil.rmtree(self.path)


def _write_part(
    file: h5py.File,
    header: Header,
    results: Sequence[ItemFeatures],
    blocks: dict[str, list[np.ndarray]],
) -> None:
    write_frame(file, header)
    file["status"][:] = [result.status for result in results]
    file["items/reason"][:] = [result.reason for result in results]
    file["offsets"][1:] = np.cumsum([result.n_rows for result in results])
    n_rows = int(file["offsets"][-1])
    for name, values in blocks.items():
        column = create_column(file, name, n_rows, header.outputs)
        if n_rows:
            column[:] = np.concatenate(values)
    add_checksums(file)
    file.attrs["complete"] = True


def _as_array(name: str, value: Any) -> np.ndarray:
    return np.array([str(v) for v in value], dtype=object) if name == "text" else np.asarray(value)


def _check_text(key: str, texts: np.ndarray) -> None:
    for text in texts:
        if _UNSTORABLE.search(text):
            raise StoreError(f"item '{key}': text {text[:40]!r} cannot be stored as UTF-8")
