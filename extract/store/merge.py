"""Shards -> one contiguous file, block by block, in manifest order."""

import json
from collections.abc import Iterator, Sequence
from operator import eq
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.core.files import only_process
from extract.store.checksums import (
    add_checksums,
    changed_datasets,
    iter_blocks,
    iter_texts,
    write_texts,
)
from extract.store.format import (
    Header,
    create_column,
    open_file,
    path_identity,
    read_outputs,
    reading,
    row_columns,
    write_frame,
)
from extract.store.new_file import NewFile, new_file
from extract.store.opening import open_checked
from extract.tables.lazy_table import pack_texts
from extract.tables.rows import STATUS, Outputs
from extract.tables.text_index import TextIndex


def merge_shards(shards: Sequence[Path], out: Path, *, ids: Sequence[str] | None = None) -> None:
    """Copy shards, in the given order, into one contiguous file with checksums.

    Args:
        shards: finished shard files, first to last.
        out: the merged file, written atomically.
        ids: the manifest's ids; the shards must hold exactly these in this order.

    Raises:
        StoreError: fingerprints or columns differ, a shard is incomplete, damaged or replaced
            meanwhile, or ids are not the manifest's.
        BusyError: another process merges to `out`.
    """
    with only_process(out):
        _merge(shards, out, ids)


def _merge(shards: Sequence[Path], out: Path, ids: Sequence[str] | None) -> None:
    identities = [path_identity(path) for path in shards]
    header, provenance = _join_heads(shards, out)
    _check_ids(header.ids, ids, out)
    with new_file(out) as merged:
        join_files(shards, header, merged)
        for path, identity in zip(shards, identities, strict=True):
            if path_identity(path) != identity:
                raise StoreError(f"{path}: was replaced while it was merged. Merge again.")
        add_checksums(merged)
        counts = np.bincount(merged["status"][:], minlength=len(STATUS))
        provenance["counts"] = {name: int(counts[code]) for name, code in STATUS.items()}
        merged.create_dataset("provenance", data=json.dumps(provenance, sort_keys=True))
        merged.attrs["complete"] = True


def _check_bytes(file: h5py.File, path: Path) -> None:
    with reading(path):
        findings = changed_datasets(file)
    if findings:
        raise StoreError(
            f"{path}: {'; '.join(findings[:3])}. Delete it and run the same command again: its "
            "shard is computed anew."
        )


class _Head(NamedTuple):
    """What all shards of a set have in common."""

    fingerprint: str
    id_kind: str
    outputs: Outputs
    provenance: dict[str, Any]


def _join_heads(shards: Sequence[Path], out: Path) -> tuple[Header, dict[str, Any]]:
    """Return the header of all shards together, and the provenance of the first."""
    first: _Head | None = None
    sizes = []
    # One at a time: HDF5 keeps megabytes of each open file in memory.
    for path in shards:
        with open_checked(path) as file:
            _check_bytes(file, path)
            head = _read_head(file)
            first = first or head
            _check_head(head, path, first, shards[0])
            sizes.append(file["items/image_size"][:])
    ids = pack_texts(_iter_texts(shards, "ids"))
    if TextIndex(ids).first_repeat() is not None:
        raise StoreError(f"{out}: an id occurs in two shards; were they made with one shard count?")
    header = Header(
        fingerprint=first.fingerprint,
        outputs=first.outputs,
        ids=ids,
        input_sha256=pack_texts(_iter_texts(shards, "items/input_sha256")),
        image_size=np.concatenate(sizes),
        id_kind=first.id_kind,
    )
    return header, first.provenance


def _read_head(file: h5py.File) -> _Head:
    provenance = json.loads(file["provenance"].asstr()[()])
    attributes = file.attrs["fingerprint"], file.attrs["id_kind"]
    return _Head(*attributes, read_outputs(file), provenance)


def _check_head(head: _Head, path: Path, first: _Head, first_path: Path) -> None:
    """Check that the same programs made two shards, of the same spec."""
    for key in ("fingerprint", "id_kind"):
        found, expected = getattr(head, key), getattr(first, key)
        if found != expected:
            raise StoreError(
                f"{path}: {key} {found!r} differs from {first_path}'s {expected!r}. Delete the "
                "older shard and rerun."
            )
    if head.outputs != first.outputs:
        raise StoreError(f"{path}: other columns than {first_path}")
    if head.provenance.get("tools") != first.provenance.get("tools"):
        raise StoreError(
            f"{path}: made with {head.provenance.get('tools')}, {first_path} with "
            f"{first.provenance.get('tools')}. Delete the older shard and rerun."
        )


def _check_ids(found: Sequence[str], expected: Sequence[str] | None, out: Path) -> None:
    if expected is not None and not same_texts(found, expected):
        raise StoreError(
            f"{out}: the shards hold {len(found)} ids, the manifest {len(expected)}: "
            f"{compare_ids(found, expected)}. Give all shards in order, or rerun them."
        )


def same_texts(found: Sequence[str], expected: Sequence[str]) -> bool:
    """Return whether two lists are equal, without a copy of either."""
    return len(found) == len(expected) and all(map(eq, found, expected))


def compare_ids(found: Sequence[str], expected: Sequence[str]) -> str:
    """Say how two different lists of ids differ."""
    missing, surplus = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if not missing and not surplus:
        return "another order"
    return f"{len(missing)} missing {missing[:3]}, {len(surplus)} surplus {surplus[:3]}"


def join_files(paths: Sequence[Path], header: Header, target: NewFile) -> None:
    """Write index and rows of files, which together hold the items of `header`, one by one.

    The bytes written do not depend on how the items are spread over files: strings, whose place in
    the file follows from the order of writing, are written at once.
    """
    write_frame(target, header)
    status, sizes = [np.zeros(0, np.uint8)], [np.zeros(1, np.int64)]
    for path in paths:
        with open_checked(path) as file:
            status.append(file["status"][:])
            sizes.append(np.diff(file["offsets"][:]))
    # shape: (N+1,)
    offsets = np.cumsum(np.concatenate(sizes))
    target["status"][:] = np.concatenate(status)
    write_texts(target["items/reason"], _iter_texts(paths, "items/reason"))
    target["offsets"][:] = offsets
    names = row_columns(header.outputs)
    columns = [create_column(target, name, int(offsets[-1]), header.outputs) for name in names]
    if header.outputs.text:
        write_texts(target["rows/text"], _iter_texts(paths, "rows/text"))
    _copy_rows(paths, [column for column in columns if column.dtype != object], target)
    target.check()


def _iter_texts(paths: Sequence[Path], name: str) -> Iterator[str]:
    """Yield the strings of one dataset of files that `open_checked` has just seen."""
    # One at a time, as in `_join_heads`.
    for path in paths:
        with reading(path), open_file(path, "r") as file:
            yield from iter_texts(file[name])


def _copy_rows(paths: Sequence[Path], columns: Sequence[h5py.Dataset], target: NewFile) -> None:
    """Copy the numbers of files that `open_checked` has just seen."""
    if not columns:
        return
    row = 0
    for path in paths:
        with reading(path), open_file(path, "r") as file:
            for column in columns:
                position = row
                for block in iter_blocks(file[column.name]):
                    column[position : position + len(block)] = block
                    position += len(block)
                    target.check()
            row += int(file["offsets"][-1])
