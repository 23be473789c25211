"""Manifests and stores for the tests of imports and artefact exports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from extract.core.options import options_from
from extract.interop.stores import import_artefact, load_artefact
from extract.store import FeatureStore, FeatureWriter, Header, merge_shards, verify_store
from extract.tables.images_table import ImageRow
from extract.tables.rows import ItemFeatures, Outputs

COLUMNS = ("features", "boxes", "scores", "attribute_scores")


def image(image_id: str, status: str = "ok", size: tuple[int, int] = (48, 64)) -> ImageRow:
    """A line of images.tsv; size is (height, width)."""
    reason = "" if status == "ok" else f"is {status}"
    height, width = size if status == "ok" else (0, 0)
    return ImageRow(image_id, "", f"sha of {image_id}", height, width, status, reason)


def write_store(
    path: Path, images: Sequence[ImageRow], results: Mapping[str, ItemFeatures], outputs: Outputs
) -> Path:
    """Write a merged store; images without result are missing."""
    header = Header(
        fingerprint="f" * 64,
        outputs=outputs,
        ids=tuple(row.image_id for row in images),
        input_sha256=tuple(row.sha256 for row in images),
        image_size=np.array([(row.height, row.width) for row in images], np.int32),
    )
    writer = FeatureWriter(path.with_suffix(".parts"), header)
    missing = ItemFeatures(status=1, reason="no such image")
    writer.append([results.get(row.image_id, missing) for row in images])
    shard = path.with_suffix(".shard")
    writer.finish(shard, {"spec": {"name": "test"}})
    merge_shards([shard], path)
    return path


def run_import(
    kind: str, source: Path | Sequence[Path], out: Path, images: Sequence[ImageRow], **options: Any
) -> dict[str, Any]:
    """Import, see that the store is valid, and return the counts."""
    sources = [source] if isinstance(source, Path) else list(source)
    counts = import_artefact(kind, sources, out, images=images, options=options)
    verify_store(out, images)
    return counts


def run_export(
    kind: str, store: Path, out: Path, images: Sequence[ImageRow], **options: Any
) -> dict[str, int]:
    """Export a store."""
    module = load_artefact(kind, "write")
    with FeatureStore(store) as opened:
        return module.write(opened, images, out, options_from(module.Options, options, kind))


def rows_of(path: Path) -> dict[str, Any]:
    """Return id -> all that a store holds for it, names in place of indices, floats as bits."""
    held = {}
    with FeatureStore(path) as store:
        for image_id, item in store.items():
            record: dict[str, Any] = {"status": item.status, "text": item.text}
            for name in COLUMNS:
                values = getattr(item, name)
                if values is not None:
                    # NaN is not equal to itself, its bits are.
                    bits = values.view(f"u{values.dtype.itemsize}").tolist()
                    record[name] = (str(values.dtype), bits)
            if item.labels is not None:
                record["labels"] = [item.vocabulary["labels"][i] for i in item.labels]
            if item.attributes is not None:
                words = [[w for w, _ in item.attributes_of(r)] for r in range(item.n_rows)]
                record["attributes"] = words
            held[image_id] = record
    return held
