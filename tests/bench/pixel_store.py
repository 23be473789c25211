"""One training item: read from the pixel stores, or decoded and resized from its seven files.

    python tests/bench/pixel_store.py

The seven are the whole image (224 px), three crops of visual grounding (128 px) and three of a
detector (64 px), as VEC-MNER and RPI-HMIF read them. Both ways run on one thread, with the files
in the page cache, and give the same bytes, which is checked.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import photos
from PIL import Image

from extract.extractors.pixels import Extractor, Options
from extract.images.decode import load_image
from extract.store import FeatureStore, FeatureWriter, Header, merge_shards
from extract.tables.images_table import ImageRow
from extract.tables.rows import Item

READS = 600


def random_boxes(row: ImageRow, seed: str) -> np.ndarray:
    """Return three boxes of a fifth to four fifths of the image, shape (3, 4)."""
    draw = random.Random(seed)
    boxes = []
    for _ in range(3):
        width, height = (draw.uniform(0.2, 0.8) * side for side in (row.width, row.height))
        x, y = draw.uniform(0, row.width - width), draw.uniform(0, row.height - height)
        boxes.append((int(x), int(y), int(x + width), int(y + height)))
    return np.array(boxes, np.float32)


def lay_out(rows: list[ImageRow], folder: Path) -> tuple[list[FeatureStore], dict[str, list[Path]]]:
    """Write the three stores, and the crops as PNG files."""
    files: dict[str, list[Path]] = {row.image_id: [Path(row.path)] for row in rows}
    stores = []
    for name, size, seed in (("image", 224, ""), ("crops", 128, "a"), ("detect", 64, "b")):
        options = Options(size=size, of="crops" if seed else "image")
        extractor, items = Extractor(options), []
        for row in rows:
            image, boxes = load_image(Path(row.path)), None
            if seed:
                boxes = random_boxes(row, row.image_id + seed)
                for number, box in enumerate(boxes.astype(int)):
                    path = folder / f"{row.image_id}.{name}{number}.png"
                    image.crop(tuple(box)).save(path)
                    files[row.image_id].append(path)
            items.append(Item(row.image_id, image, boxes=boxes))
        header = Header(
            fingerprint=name,
            outputs=extractor.outputs(options),
            ids=tuple(row.image_id for row in rows),
            input_sha256=tuple(row.sha256 for row in rows),
            image_size=np.array([(row.height, row.width) for row in rows], np.int32),
        )
        writer = FeatureWriter(folder / f"{name}.partial", header)
        writer.append(extractor.extract(items))
        writer.finish(folder / f"{name}.shard", {})
        merge_shards([folder / f"{name}.shard"], folder / f"{name}.h5")
        stores.append(FeatureStore(folder / f"{name}.h5"))
    return stores, files


def from_files(paths: list[Path]) -> list[np.ndarray]:
    """Decode and resize the seven files of an item."""
    sizes = (224, 128, 128, 128, 64, 64, 64)
    rows = []
    for path, size in zip(paths, sizes, strict=True):
        with Image.open(path) as image:
            item = Item("", image.convert("RGB"))
        rows.append(Extractor(Options(size=size)).extract([item])[0].features)
    return rows


def main() -> None:
    """Print milliseconds an item of both ways, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        rows = photos.lay_out_photos(Path(name))
        stores, files = lay_out(rows, Path(name))
        ids = [row.image_id for row in rows]
        for image_id in ids:
            # Pages in, and the proof that both ways read the same.
            stored = np.concatenate([s.item(image_id).features.ravel() for s in stores])
            assert np.array_equal(
                stored, np.concatenate([r.ravel() for r in from_files(files[image_id])])
            )
        order = random.Random(0).choices(ids, k=READS)
        started = time.perf_counter()
        for image_id in order:
            for store in stores:
                store.item(image_id)
        store_ms = (time.perf_counter() - started) / READS * 1e3
        started = time.perf_counter()
        for image_id in ids:
            from_files(files[image_id])
        files_ms = (time.perf_counter() - started) / len(ids) * 1e3
    sys.stdout.write(
        f"one item: {store_ms:.3f} ms from three pixel stores, {files_ms:.1f} ms from seven files: "
        f"{files_ms / store_ms:.0f} times ({os.cpu_count()} cores, one used)\n"
    )


if __name__ == "__main__":
    main()
