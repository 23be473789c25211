"""Check a merged file against the format, its checksums and the manifest."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.core.errors import StoreError
from extract.core.system import raise_if_refused
from extract.store.checksums import changed_datasets, iter_blocks, iter_texts
from extract.store.format import DAMAGED, digest_ids, read_outputs, reading
from extract.store.merge import compare_ids, same_texts
from extract.store.opening import open_checked
from extract.store.reader import FeatureStore
from extract.tables.images_table import ImageRow
from extract.tables.lazy_table import pack_texts
from extract.tables.rows import STATUS, STATUS_NAMES
from extract.tables.text_index import TextIndex


def check_bytes(path: Path) -> None:
    """Check all bytes of a feature file against its checksums.

    Raises:
        MissingFileError: no such file.
        StoreError: something changed since the file was written; it names the datasets.
    """
    with open_checked(path) as file, reading(path):
        findings = changed_datasets(file)
    if findings:
        raise StoreError(
            f"{path}: {'; '.join(findings[:3])}. Delete the file and run again the rule that makes "
            "it: merge_features, for an imported set import_features."
        )


def open_whole(path: Path) -> FeatureStore:
    """Open a feature file to read all of it, after `check_bytes`."""
    check_bytes(path)
    return FeatureStore(path)


def verify_store(path: Path, images: Sequence[ImageRow] | None = None) -> dict[str, Any]:
    """Return counts of a valid file.

    Args:
        path: a merged feature file.
        images: the manifest that it must cover, in this order.

    Raises:
        StoreError: the file breaks the format; the message lists every finding.
    """
    with open_checked(path) as file:
        findings = _find(file, images)
        if findings:
            listed = "".join(f"\n  - {finding}" for finding in findings[:20])
            raise StoreError(
                f"{path}: {len(findings)} finding(s):{listed}\nDelete the file and rerun its rule."
            )
        counts = np.bincount(file["status"][:], minlength=len(STATUS))
        return {
            "file": Path(path).name,
            "fingerprint": file.attrs["fingerprint"],
            "items": len(file["ids"]),
            "rows": int(file["offsets"][-1]),
            "columns": sorted(file["rows"]),
            "status": {name: int(counts[code]) for name, code in STATUS.items()},
            "not_ok": _list_not_ok(file),
        }


def _find(file: h5py.File, images: Sequence[ImageRow] | None) -> list[str]:
    # Each check relies on the ones before it: values are judged only where the bytes are right.
    try:
        for check in (_check_names, changed_datasets, _check_index):
            findings = check(file)
            if findings:
                return findings
        findings = _check_rows(file)
        if images is not None and file.attrs["id_kind"] == "image":
            findings += _check_manifest(file, images)
        return findings
    except DAMAGED as error:
        raise_if_refused(error, Path(file.filename))
        return [f"cannot be read whole as HDF5 ({error})"]


def _list_not_ok(file: h5py.File) -> list[dict[str, str]]:
    items = zip(
        iter_texts(file["ids"]), file["status"][:], iter_texts(file["items/reason"]), strict=True
    )
    # A corpus without images would list every id: the count says it all.
    return [
        {"id": key, "status": STATUS_NAMES[status], "reason": reason}
        for key, status, reason in items
        if status not in (STATUS["ok"], STATUS["no_images"])
    ]


def _check_names(file: h5py.File) -> list[str]:
    findings = [f"/{name} is not there" for name in ("rows", "provenance") if name not in file]
    for group in ("items", "rows"):
        for name in file.get(group, {}):
            if not all(axis.label for axis in file[group][name].dims):
                findings.append(f"/{group}/{name} has no dimension labels")
    if "provenance" in file:
        provenance = json.loads(file["provenance"].asstr()[()])
        if "counts" not in provenance:
            findings.append("/provenance has no counts per status (is this a shard?)")
    return findings


def _check_index(file: h5py.File) -> list[str]:
    ids, status, offsets = (
        pack_texts(iter_texts(file["ids"])),
        file["status"][:],
        file["offsets"][:],
    )
    if TextIndex(ids).first_repeat() is not None:
        return ["/ids are not unique"]
    findings = []
    sizes = np.diff(offsets)
    for i in np.flatnonzero((sizes > 0) != (status == STATUS["ok"]))[:3]:
        findings.append(f"item '{ids[i]}': status {status[i]} with {sizes[i]} rows")
    if digest_ids(ids, iter_texts(file["items/input_sha256"])) != file.attrs["ids_sha256"]:
        findings.append("ids_sha256 is not that of /ids and /items/input_sha256")
    return findings


def _check_rows(file: h5py.File) -> list[str]:
    findings, rows, outputs = [], file["rows"], read_outputs(file)
    for name in ("features", "boxes"):
        if name in rows and rows[name].dtype.kind == "f":
            for number, block in enumerate(iter_blocks(rows[name])):
                if not np.isfinite(block).all():
                    findings.append(f"/rows/{name} is not finite in block {number}")
    if outputs.feature_dim and int(np.prod(outputs.item_shape)) != outputs.feature_dim:
        findings.append(f"item_shape {outputs.item_shape} is not {outputs.feature_dim} values")
    if "labels" in rows:
        n_labels = len(outputs.labels)
        blocks = iter_blocks(rows["labels"])
        if any(((block < 0) | (block >= n_labels)).any() for block in blocks):
            findings.append("/rows/labels holds an index outside /vocab/labels")
    if "attributes" in rows:
        findings += _check_attributes(rows, len(outputs.attributes))
    if "boxes" in rows:
        bad = _find_rows(rows["boxes"], lambda boxes, _: (boxes[:, 2:] < boxes[:, :2]).any(axis=1))
        findings += [f"/rows/boxes[{row}] has x2 < x1 or y2 < y1" for row in islice(bad, 3)]
    return findings


def _find_rows(
    dataset: h5py.Dataset, is_wrong: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[int]:
    """Yield the numbers of the wrong rows, ascending; one block is in memory at a time.

    Args:
        dataset: shape (M, ...).
        is_wrong: (B rows, their numbers of shape (B,)) -> shape (B,), bool.
    """
    start = 0
    for block in iter_blocks(dataset):
        numbers = np.arange(start, start + len(block))
        yield from numbers[is_wrong(block, numbers)].tolist()
        start += len(block)


def _check_attributes(rows: h5py.Group, n_words: int) -> list[str]:
    findings = (
        "/rows/attributes holds an index outside /vocab/attributes",
        "/rows/attributes has an attribute after -1 (none)",
        "/rows/attribute_scores is not NaN exactly where there is no attribute",
    )
    is_found = np.zeros(len(findings), bool)
    # Blocks of the same rows: rows of both are of the same size.
    blocks = (iter_blocks(rows[name]) for name in ("attributes", "attribute_scores"))
    for ids, scores in zip(*blocks, strict=True):
        is_found |= (
            ((ids < -1) | (ids >= n_words)).any(),
            ((ids[:, :-1] == -1) & (ids[:, 1:] != -1)).any(),
            (np.isfinite(scores) != (ids >= 0)).any(),
        )
    return [finding for finding, is_here in zip(findings, is_found, strict=True) if is_here]


def _check_manifest(file: h5py.File, images: Sequence[ImageRow]) -> list[str]:
    ids = pack_texts(iter_texts(file["ids"]))
    expected = pack_texts(image.image_id for image in images)
    if not same_texts(ids, expected):
        return [f"ids are not the manifest's: {compare_ids(ids, expected)}"]
    # shape: (N, 2)
    sizes = np.fromiter(((image.height, image.width) for image in images), np.dtype("2i4"))
    findings = []
    for i in np.flatnonzero((file["items/image_size"][:] != sizes).any(axis=1))[:3]:
        findings.append(f"item '{ids[i]}': image_size is not the manifest's {tuple(sizes[i])}")
    if "boxes" in file["rows"]:
        offsets = file["offsets"][:]

        def is_outside(boxes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
            # shape: (B, 2)
            limits = sizes[np.searchsorted(offsets, numbers, side="right") - 1]
            outside = (boxes[:, 2:] < 0).any(axis=1) | (boxes[:, [1, 0]] > limits).any(axis=1)
            return outside & (limits[:, 0] > 0)

        bad = _find_rows(file["rows/boxes"], is_outside)
        findings += [f"/rows/boxes[{row}] lies outside its image" for row in islice(bad, 3)]
    return findings
