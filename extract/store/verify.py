"""Check a merged file against the format, its checksums and the manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from extract.errors import StoreError
from extract.manifest import STATUS, ImageRow
from extract.store.format import open_checked, read_outputs
from extract.store.merge import checked_datasets, content_sha256, iter_blocks


def verify_store(path: Path, images: Sequence[ImageRow] | None = None) -> dict[str, Any]:
    """Return counts of a valid file.

    Args:
        path: a merged feature file.
        images: the manifest that it must cover, in this order.

    Raises:
        StoreError: the file breaks the format; the message lists every finding.
    """
    with open_checked(path) as file:
        findings = _check_index(file) + _check_rows(file) + _check_sums(file)
        if images is not None and file.attrs["id_kind"] == "image":
            findings += _check_manifest(file, images)
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


def _list_not_ok(file: h5py.File) -> list[dict[str, str]]:
    ids, reasons = file["ids"].asstr()[:], file["items/reason"].asstr()[:]
    names = {code: name for name, code in STATUS.items()}
    status = file["status"][:]
    # A corpus without images would list every id: the count says it all.
    bad = np.flatnonzero((status != STATUS["ok"]) & (status != STATUS["no_images"]))
    return [{"id": ids[i], "status": names[status[i]], "reason": reasons[i]} for i in bad]


def _check_index(file: h5py.File) -> list[str]:
    ids, status, offsets = file["ids"].asstr()[:], file["status"][:], file["offsets"][:]
    findings = []
    if len(set(ids)) != len(ids):
        findings.append("/ids are not unique")
    if len(ids) != file.attrs["n_items"] or len(status) != len(ids):
        findings.append("/ids, /status and n_items differ in length")
    if len(offsets) != len(ids) + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
        return [*findings, "/offsets are not N+1 non-decreasing values from 0"]
    if not set(np.unique(status)) <= set(STATUS.values()):
        findings.append("/status holds an unknown code")
    has_rows = np.diff(offsets) > 0
    for i in np.flatnonzero(has_rows != (status == STATUS["ok"]))[:3]:
        findings.append(f"item '{ids[i]}': status {status[i]} with {np.diff(offsets)[i]} rows")
    return findings


def _check_rows(file: h5py.File) -> list[str]:
    n_rows, findings = int(file["offsets"][-1]), []
    for name, dataset in file["rows"].items():
        if len(dataset) != n_rows:
            findings.append(f"/rows/{name} has {len(dataset)} rows, /offsets say {n_rows}")
        if "DIMENSION_LABELS" not in dataset.attrs:
            findings.append(f"/rows/{name} has no dimension labels")
    if "features" in file["rows"] and file["rows/features"].dtype.kind == "f":
        for number, block in enumerate(iter_blocks(file["rows/features"])):
            if not np.isfinite(block).all():
                findings.append(f"/rows/features is not finite in block {number}")
    outputs = read_outputs(file)
    if outputs.feature_dim and int(np.prod(outputs.item_shape)) != outputs.feature_dim:
        findings.append(f"item_shape {outputs.item_shape} is not {outputs.feature_dim} values")
    return findings


def _check_sums(file: h5py.File) -> list[str]:
    findings = []
    for dataset in checked_datasets(file):
        recorded = dataset.attrs.get("sha256")
        if recorded is None:
            findings.append(f"{dataset.name} has no checksum (is this a shard?)")
        elif recorded != content_sha256(dataset):
            findings.append(f"{dataset.name} does not match its checksum (bytes changed)")
    return findings


def _check_manifest(file: h5py.File, images: Sequence[ImageRow]) -> list[str]:
    ids = file["ids"].asstr()[:].tolist()
    expected = [image.image_id for image in images]
    if ids == expected:
        return _check_boxes(file, images)
    missing, surplus = set(expected) - set(ids), set(ids) - set(expected)
    return [
        f"ids are not the manifest's: {len(missing)} missing {sorted(missing)[:3]}, "
        f"{len(surplus)} surplus {sorted(surplus)[:3]}"
        + ("" if missing or surplus else ", another order")
    ]


def _check_boxes(file: h5py.File, images: Sequence[ImageRow]) -> list[str]:
    if "boxes" not in file["rows"]:
        return []
    counts = np.diff(file["offsets"][:])
    width = np.repeat([image.width for image in images], counts)
    boxes = file["rows/boxes"][:]
    bad = np.flatnonzero((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1]))
    outside = np.flatnonzero((width > 0) & (boxes[:, 0] >= width))
    findings = [f"/rows/boxes[{row}] has x2 < x1 or y2 < y1" for row in bad[:3]]
    return findings + [f"/rows/boxes[{row}] lies outside its image" for row in outside[:3]]


__all__ = ["StoreError", "verify_store"]
