"""Names, columns and attributes of the feature file; see the package's docstring."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.core.system import raise_if_refused
from extract.store.allowed_content import check_structure, read_root_attribute
from extract.store.checksums import write_texts
from extract.tables.rows import ATTRIBUTES_PER_ROW, Outputs
from extract.tables.text_index import TextIndex

FORMAT, FORMAT_VERSION = "mner-features", "1.1"
TEXT = h5py.string_dtype("utf-8")
# What h5py raises for a file whose bytes are wrong; an OSError also where they cannot be read.
DAMAGED = (OSError, KeyError, RuntimeError, TypeError, ValueError)
ALL_COLUMNS = (
    "features", "text", "boxes", "scores", "labels", "attributes", "attribute_scores",
)  # fmt: skip
# Vocabularies, by the column of indices into them.
VOCABULARIES = ("labels", "attributes")


@dataclass(frozen=True)
class Header:
    """What identifies a feature file before any row is computed."""

    fingerprint: str
    outputs: Outputs
    ids: Sequence[str]
    input_sha256: Sequence[str]
    """One checksum an item: the image bytes and the item's own boxes, phrases or captions."""
    image_size: np.ndarray
    """shape: (N, 2), int32, (height, width) in pixels."""
    id_kind: str = "image"

    def __post_init__(self) -> None:
        if TextIndex(self.ids).first_repeat() is not None:
            raise StoreError("an id occurs twice: the ids of a feature file must be unique")

    @property
    def ids_sha256(self) -> str:
        """Checksum of ids and inputs, in order: lines of both, divided by line feeds."""
        return digest_ids(self.ids, self.input_sha256)


def digest_ids(ids: Iterable[str], input_sha256: Iterable[str]) -> str:
    """Return `ids_sha256`, see `Header`."""
    checksum = hashlib.sha256()
    # Line by line: one text of them all takes several times the memory of a large index.
    for number, pair in enumerate(zip(ids, input_sha256, strict=True)):
        checksum.update(("\n" * (number > 0) + "\t".join(pair)).encode())
    return checksum.hexdigest()


def row_columns(outputs: Outputs) -> dict[str, tuple[tuple[int, ...], Any, tuple[str, ...], str]]:
    """Return column -> (shape of one row, dtype, dimension labels, unit) of `/rows`."""
    columns: dict[str, tuple[tuple[int, ...], Any, tuple[str, ...], str]] = {}
    if outputs.feature_dim:
        unit = "RGB 0-255" if outputs.feature_dtype == "uint8" else "1"
        shape = (outputs.feature_dim,)
        columns["features"] = (shape, outputs.feature_dtype, ("row", "channel"), unit)
    if outputs.text:
        columns["text"] = ((), TEXT, ("row",), "")
    if outputs.boxes:
        columns["boxes"] = ((4,), "float32", ("row", "x1 y1 x2 y2"), "pixel")
    if outputs.scores:
        columns["scores"] = ((), "float32", ("row",), "1")
    if outputs.labels:
        columns["labels"] = ((), "int32", ("row",), "")
    if outputs.attributes:
        shape = (ATTRIBUTES_PER_ROW,)
        columns["attributes"] = (shape, "int32", ("row", "attribute"), "")
        columns["attribute_scores"] = (shape, "float32", ("row", "attribute"), "1")
    return columns


def as_stored(outputs: Outputs) -> Outputs:
    """Return the outputs as `read_outputs` finds them in a file."""
    if not outputs.feature_dim:
        return replace(outputs, feature_dtype=Outputs.feature_dtype, item_shape=(), grid=None)
    return replace(outputs, item_shape=outputs.item_shape or (outputs.feature_dim,))


def describe(dataset: h5py.Dataset, labels: Sequence[str], unit: str, outputs: Outputs) -> None:
    """Attach dimension labels, unit and, to features, the row's shape."""
    for axis, label in enumerate(labels):
        dataset.dims[axis].label = label
    if unit:
        dataset.attrs["unit"] = unit
    if dataset.name == "/rows/features":
        dataset.attrs["item_shape"] = outputs.item_shape or (outputs.feature_dim,)
        if outputs.grid:
            dataset.attrs["grid"] = outputs.grid


def write_frame(file: h5py.File, header: Header) -> None:
    """Write everything that is known before the rows."""
    n = len(header.ids)
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "id_kind": header.id_kind,
            "fingerprint": header.fingerprint,
            "ids_sha256": header.ids_sha256,
            "n_items": n,
            "complete": False,
        }
    )
    write_texts(file.create_dataset("ids", shape=(n,), dtype=TEXT), header.ids)
    file.create_dataset("status", shape=(n,), dtype="uint8")
    file.create_dataset("offsets", shape=(n + 1,), dtype="int64")
    items = {
        "reason": (repeat("", n), TEXT, ("item",), ""),
        "image_size": (header.image_size.reshape(n, 2), "int32", ("item", "height width"), "pixel"),
        "input_sha256": (header.input_sha256, TEXT, ("item",), ""),
    }
    for name, (data, dtype, labels, unit) in items.items():
        shape = (n, 2) if name == "image_size" else (n,)
        dataset = file.create_dataset(f"items/{name}", shape=shape, dtype=dtype)
        if dtype == TEXT:
            write_texts(dataset, data)
        else:
            dataset[...] = data
        describe(dataset, labels, unit, header.outputs)
    for name in VOCABULARIES:
        words = getattr(header.outputs, name)
        if words:
            file.create_dataset(f"vocab/{name}", data=list(words), dtype=TEXT)


def create_column(file: h5py.File, name: str, n_rows: int, outputs: Outputs) -> h5py.Dataset:
    """Create one contiguous column of `/rows`, to be filled."""
    shape, dtype, labels, unit = row_columns(outputs)[name]
    dataset = file.create_dataset(f"rows/{name}", shape=(n_rows, *shape), dtype=dtype)
    describe(dataset, labels, unit, outputs)
    return dataset


def open_file(path: Path, mode: str) -> h5py.File:
    """Open with default format bounds, so that every HDF5 library can read the file."""
    return h5py.File(path, mode, locking="best-effort")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what HDF5 raises into an error that names the file.

    Raises:
        StoreError: the bytes are damaged.
        NamedSystemError: the operating system refused to read them; they may be right.
    """
    try:
        yield
    except DAMAGED as error:
        raise_if_refused(error, path)
        raise StoreError(f"{path}: not readable as HDF5 ({error}). Delete it and rerun.") from error


def path_identity(path: Path) -> tuple[int, ...]:
    """Return what changes when another file takes the place of this one; nothing of no file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def open_unsealed(path: Path) -> h5py.File:
    """Open as `open_checked` does, without a look at the seal.

    Raises:
        As `open_checked`.
    """
    with reading(path):
        return open_described(path, is_sealed=True)


def open_described(path: Path, *, is_sealed: bool) -> h5py.File:
    file = open_file(path, "r")
    try:
        _check_identity(file, path)
        if not is_sealed:
            _check_unsealed(file, path)
        check_structure(file, path)
    except BaseException:
        file.close()
        raise
    return file


def _check_identity(file: h5py.File, path: Path) -> None:
    name, version = (read_root_attribute(file, key) for key in ("format", "format_version"))
    if name != FORMAT or str(version).split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise StoreError(f"{path}: expected {FORMAT} {FORMAT_VERSION}, got {name} {version}")
    if not read_root_attribute(file, "complete"):
        raise StoreError(f"{path}: not complete (a run was cut off). Rerun the rule that makes it.")


def _check_unsealed(file: h5py.File, path: Path) -> None:
    """Only the first version of the format had no seal."""
    if read_root_attribute(file, "format_version") != "1.0":
        raise StoreError(
            f"{path}: the seal at its end is missing: the file was opened for writing by another "
            f"program, or cut off. If nothing was changed, `python -m extract seal {path}` checks "
            "its content and seals it again; else delete it and rerun the rule that makes it."
        )


def read_outputs(file: h5py.File) -> Outputs:
    """Return the columns that an open file declares."""
    rows = file["rows"]
    of_features = {}
    if "features" in rows:
        features = rows["features"]
        grid = features.attrs.get("grid")
        of_features = {
            "feature_dim": features.shape[1],
            "feature_dtype": str(features.dtype),
            "item_shape": tuple(int(n) for n in features.attrs["item_shape"]),
            "grid": None if grid is None else tuple(int(n) for n in grid),
        }
    return Outputs(
        **of_features,
        text="text" in rows,
        boxes="boxes" in rows,
        scores="scores" in rows,
        **read_vocabularies(file),
    )


def read_vocabularies(file: h5py.File) -> dict[str, tuple[str, ...]]:
    """Return column -> the names that its indices stand for."""
    names = [name for name in VOCABULARIES if name in file["rows"]]
    return {name: tuple(file[f"vocab/{name}"].asstr()[:]) for name in names}
