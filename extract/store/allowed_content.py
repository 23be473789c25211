"""What a feature file is made of, checked before any of it is read.

HDF5 can point anywhere: links and raw data in other files, datasets that are computed or unpacked
when they are read, lengths that were never written. A feature file needs none of this, so a reader
accepts hard links to contiguous, unfiltered, fully written datasets of the format's names, types
and shapes, whose bytes lie inside the file. Memory is then bounded by the size of the file, where
HDF5's own bookkeeping is right: what the seal tells of files of this program, and
`extract/store/first_look.py` of others.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.tables.rows import ATTRIBUTES_PER_ROW, STATUS

TEXT_KIND = "UTF-8 strings"
# One string is this in the file, its characters are elsewhere in it.
_STRING = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
_MAX_ATTRIBUTE_BYTES = 4096
_MAX_AXES = 8
# Of a file without items, HDF5 does not write the one offset, which is 0.
_MAX_UNWRITTEN_BYTES = 8

ROOT_ATTRIBUTES = {
    "format": str,
    "format_version": str,
    "id_kind": str,
    "fingerprint": str,
    "ids_sha256": str,
    "n_items": int,
    "complete": bool,
}


@dataclass(frozen=True)
class Expected:
    """What one dataset has to be.

    `shape` holds numbers, the names N (items), N+1 and M (rows), and None for any length.
    """

    shape: tuple[int | str | None, ...]
    types: tuple[str, ...] = (TEXT_KIND,)


DATASETS = {
    "ids": Expected(("N",)),
    "status": Expected(("N",), ("uint8",)),
    "offsets": Expected(("N+1",), ("int64",)),
    "provenance": Expected(()),
    "items/reason": Expected(("N",)),
    "items/image_size": Expected(("N", 2), ("int32",)),
    "items/input_sha256": Expected(("N",)),
    "rows/features": Expected(("M", None), ("float16", "float32", "uint8")),
    "rows/text": Expected(("M",)),
    "rows/boxes": Expected(("M", 4), ("float32",)),
    "rows/scores": Expected(("M",), ("float32",)),
    "rows/labels": Expected(("M",), ("int32",)),
    "rows/attributes": Expected(("M", ATTRIBUTES_PER_ROW), ("int32",)),
    "rows/attribute_scores": Expected(("M", ATTRIBUTES_PER_ROW), ("float32",)),
    "vocab/labels": Expected((None,)),
    "vocab/attributes": Expected((None,)),
}
GROUPS = ("items", "rows", "vocab")
_REQUIRED = ("ids", "status", "offsets", "items/reason", "items/image_size", "items/input_sha256")
# A dataset, and what it cannot be read without.
_COMPANIONS = {
    "rows/labels": "vocab/labels",
    "rows/attributes": "vocab/attributes",
    "rows/attribute_scores": "rows/attributes",
}


def read_root_attribute(file: h5py.File, name: str) -> Any:
    """Return a root attribute of the format, None where there is none or one of another type."""
    attribute = _open_attribute(file, name)
    if attribute is None or attribute.shape != ():
        return None
    kind = ROOT_ATTRIBUTES[name]
    stored = attribute.get_type()
    fits = {
        str: isinstance(stored, h5py.h5t.TypeStringID),
        int: isinstance(stored, h5py.h5t.TypeIntegerID),
        bool: isinstance(stored, h5py.h5t.TypeEnumID) and attribute.dtype == bool,
    }
    value = kind(file.attrs[name]) if fits[kind] else None
    return value if not isinstance(value, str) or value.isprintable() else None


def check_structure(file: h5py.File, path: Path) -> None:
    """Check everything that reading the file relies on.

    Raises:
        StoreError: an object is missing, not of the format, or lies outside the file; the message
            names it, what was expected and what was found.
    """
    for name, kind in ROOT_ATTRIBUTES.items():
        if read_root_attribute(file, name) is None:
            raise _broken(path, f"attribute {name}", f"one {kind.__name__}", "none or another type")
    n_items = read_root_attribute(file, "n_items")
    if read_root_attribute(file, "id_kind") not in ("image", "sample"):
        raise _broken(path, "attribute id_kind", "image or sample", file.attrs["id_kind"])
    found = _open_datasets(file, path)
    for name, needed in [*((n, n) for n in _REQUIRED), *_COMPANIONS.items()]:
        if needed not in found and (name in found or name in _REQUIRED):
            raise _broken(path, f"/{needed}", f"to be there for /{name}", "nothing")
    if not any(name.startswith("rows/") for name in found):
        raise _broken(path, "/rows", "at least one column", "none")
    size = os.stat(path).st_size
    for name, dataset in found.items():
        _check_storage(path, name, dataset, size)
    lengths = {"N": n_items, "N+1": n_items + 1}
    _check_shape(path, "offsets", found["offsets"], lengths)
    lengths["M"] = _check_offsets(path, file["offsets"][:])
    for name, dataset in found.items():
        _check_shape(path, name, dataset, lengths)
        if DATASETS[name].types == (TEXT_KIND,):
            _check_strings(path, name, dataset, size)
        if name.startswith(("rows/", "items/")):
            _check_labels(path, name, file[name])
    if n_items and file["status"][:].max() > max(STATUS.values()):
        raise _broken(path, "/status", f"codes up to {max(STATUS.values())}", "a larger one")
    if "rows/features" in found:
        _check_features(path, file["rows/features"])


def row_extents(file: h5py.File) -> list[list[int]]:
    """Return [offset, bytes] of each dataset of numbers under `/rows`, as they lie in the file."""
    datasets = [dataset.id for dataset in file.get("rows", {}).values() if dataset.dtype != object]
    found = [[d.get_offset(), d.get_storage_size()] for d in datasets if d.get_storage_size()]
    return sorted(found)


def _broken(path: Path, place: str, expected: object, found: object) -> StoreError:
    return StoreError(
        f"{path}: {place}: expected {expected}, got {found}. The file is damaged or was not made "
        "by this program. Delete it and rerun the rule that makes it."
    )


def _open_attribute(node: h5py.HLObject, name: str) -> h5py.h5a.AttrID | None:
    """Return an attribute of bounded size without reading its value."""
    if not h5py.h5a.exists(node.id, name.encode()):
        return None
    attribute = h5py.h5a.open(node.id, name.encode())
    small = attribute.get_storage_size() <= _MAX_ATTRIBUTE_BYTES
    return attribute if small and len(attribute.shape) <= 1 else None


def _open_datasets(file: h5py.File, path: Path) -> dict[str, h5py.h5d.DatasetID]:
    """Return name -> dataset of everything in the file; no link but a hard one is followed."""
    found: dict[str, h5py.h5d.DatasetID] = {}
    groups = {"": file.id}
    for name in _links(file.id, "", path):
        node = h5py.h5o.open(file.id, name.encode())
        if name in GROUPS and isinstance(node, h5py.h5g.GroupID):
            groups[f"{name}/"] = node
    for prefix, group in groups.items():
        for name in _links(group, prefix, path):
            if f"{prefix}{name}/" in groups:
                continue
            node = h5py.h5o.open(group, name.encode())
            if f"{prefix}{name}" not in DATASETS or not isinstance(node, h5py.h5d.DatasetID):
                got = type(node).__name__.removesuffix("ID")
                raise _broken(path, f"/{prefix}{name}", "the format's datasets alone", f"a {got}")
            found[prefix + name] = node
    return {name: found[name] for name in DATASETS if name in found}


def _links(group: h5py.h5g.GroupID, prefix: str, path: Path) -> list[str]:
    kinds: dict[bytes, int] = {}
    group.links.iterate(lambda name, info: kinds.update({name: info.type}), info=True)
    for name, kind in kinds.items():
        if kind != h5py.h5l.TYPE_HARD:
            shown = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}
            place = f"/{prefix}{name.decode(errors='replace')}"
            raise _broken(path, place, "a hard link", shown.get(kind, "a user-defined link"))
    return [name.decode(errors="backslashreplace") for name in kinds]


def _check_storage(path: Path, name: str, dataset: h5py.h5d.DatasetID, size: int) -> None:
    """The dataset is one piece of this file, written whole, of a type of the format."""
    plan = dataset.get_create_plist()
    layouts = {h5py.h5d.CHUNKED: "chunks", h5py.h5d.VIRTUAL: "a virtual dataset"}
    if plan.get_layout() != h5py.h5d.CONTIGUOUS:
        got = layouts.get(plan.get_layout(), "another layout")
    elif plan.get_external_count():
        got = "data in another file"
    elif plan.get_nfilters():
        got = "filtered data"
    else:
        got = ""
    if got:
        raise _broken(path, f"/{name}", "contiguous, unfiltered data in this file", got)
    types = DATASETS[name].types
    found = _type_name(dataset.get_type())
    if found not in types:
        raise _broken(path, f"/{name}", f"type {' or '.join(types)}", found)
    itemsize = _STRING.itemsize if found == TEXT_KIND else np.dtype(found).itemsize
    needed, offset = math.prod(dataset.shape or ()) * itemsize, dataset.get_offset()
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise _broken(path, f"/{name}", "values", "an empty dataspace")
    if offset is None and needed <= _MAX_UNWRITTEN_BYTES:
        return
    if needed and (offset is None or offset + needed > size):
        place = "nowhere" if offset is None else f"from byte {offset} on"
        expected = f"{needed} bytes for shape {dataset.shape} inside the file of {size}"
        raise _broken(path, f"/{name}", expected, f"data {place}")


def _type_name(stored: h5py.h5t.TypeID) -> str:
    if isinstance(stored, h5py.h5t.TypeStringID) and stored.is_variable_str():
        return TEXT_KIND
    for name in ("uint8", "int32", "int64", "float16", "float32"):
        if stored.equal(h5py.h5t.py_create(np.dtype(name).newbyteorder("<"))):
            return name
    return type(stored).__name__.removeprefix("Type").removesuffix("ID") + " of another kind"


def _check_shape(
    path: Path, name: str, dataset: h5py.h5d.DatasetID, lengths: Mapping[str, int]
) -> None:
    shape = tuple(lengths.get(axis, axis) for axis in DATASETS[name].shape)
    found = dataset.shape
    fits = len(found) == len(shape) and all(
        length in (None, got) for length, got in zip(shape, found, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise _broken(path, f"/{name}", f"shape ({expected})", found)


def _check_offsets(path: Path, offsets: np.ndarray) -> int:
    """Return the number of rows."""
    # Compared, for the difference of two of them may be beyond int64.
    if offsets[0] != 0 or (offsets[1:] < offsets[:-1]).any():
        raise _broken(path, "/offsets", "non-decreasing values from 0", "others")
    return int(offsets[-1])


def _check_strings(path: Path, name: str, dataset: h5py.h5d.DatasetID, size: int) -> None:
    """Strings together are no longer than the file: none of its bytes stands for many strings."""
    count = math.prod(dataset.shape)
    if not count:
        return
    strings = np.memmap(path, _STRING, "r", dataset.get_offset(), (count,))
    total = int(strings["length"].sum(dtype=np.uint64))
    if total > size or int(strings["heap"].max()) >= size:
        expected = f"strings inside the file of {size} bytes"
        raise _broken(path, f"/{name}", expected, f"{total} bytes, or some elsewhere")


def _check_labels(path: Path, name: str, dataset: h5py.Dataset) -> None:
    """HDF5 reads the labels of dimensions without asking how many there are."""
    if h5py.h5a.exists(dataset.id, b"DIMENSION_LABELS"):
        labels = _open_attribute(dataset, "DIMENSION_LABELS")
        if (
            labels is None
            or labels.shape != (dataset.ndim,)
            or not isinstance(labels.get_type(), h5py.h5t.TypeStringID)
            or not labels.get_type().is_variable_str()
        ):
            raise _broken(path, f"/{name}", "one label a dimension", "others")


def _check_features(path: Path, features: h5py.Dataset) -> None:
    for name in ("item_shape", "grid"):
        attribute = _open_attribute(features, name)
        if attribute is None and name == "grid" and name not in features.attrs:
            continue
        if (
            attribute is None
            or not isinstance(attribute.get_type(), h5py.h5t.TypeIntegerID)
            or not 1 <= math.prod(attribute.shape) <= _MAX_AXES
            or len(attribute.shape) != 1
        ):
            raise _broken(path, f"/rows/features attribute {name}", "a few numbers", "others")
    shape = [int(n) for n in features.attrs["item_shape"]]
    if min(shape) < 0 or math.prod(shape) != features.shape[1]:
        expected = f"{features.shape[1]} values"
        raise _broken(path, "/rows/features attribute item_shape", expected, tuple(shape))
