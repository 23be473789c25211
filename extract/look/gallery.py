"""What is known of each image, as JSON lines with thumbnails: what a page of results shows.

One object a line, in the order of the tweets:

    image_id, path, status, reason      as in images.tsv
    size        [height, width] of the upright image in pixels, [0, 0] where it cannot be read
    thumbnail   JPEG as a `data:` URI; null unless the status is ok
    boxes       store -> [{box: [x1, y1, x2, y2] in pixels of the upright image, text, score}]
    captions    store -> [text]
    ocr         store -> [{text, score}]
    notes       store -> why it has no row of this image

A score is null where there is none. Equal input gives equal bytes.
"""

import base64
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extract.core.files import atomic_path
from extract.images.decode import resize_exact
from extract.images.unchanged import load_unchanged
from extract.look.contact_sheet.content import Stores
from extract.store import FeatureStore, StoredItem
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS_NAMES


def thumbnail(image: Image.Image, *, longest_px: int, quality: int) -> str:
    """Return an image as a small JPEG in a `data:` URI.

    Args:
        image: upright RGB; it is only made smaller, never larger.
        longest_px: greatest length of the longer side.
        quality: of the JPEG, 1 to 95.
    """
    scale = min(1.0, longest_px / max(image.size))
    size = tuple(max(1, round(side * scale)) for side in image.size)
    buffer = io.BytesIO()
    resize_exact(image, size).save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def describe_image(
    row: ImageRow, stores: Stores, *, longest_px: int, quality: int, max_boxes: int
) -> dict[str, Any]:
    """Return the record of one image (see the module's docstring).

    Raises:
        DataError: the image file is not the one that images.tsv describes.
        StoreError: a store does not know the image.
    """
    picture = None
    if row.status == "ok":
        image = load_unchanged(row, draft_px=longest_px)
        picture = thumbnail(image, longest_px=longest_px, quality=quality)
    every = (*stores.boxes.items(), *stores.captions.items(), *stores.ocr.items())
    items = {name: store.item(row.image_id) for name, store in every}
    return {
        "image_id": row.image_id,
        "path": row.path,
        "status": row.status,
        "reason": row.reason,
        "size": [row.height, row.width],
        "thumbnail": picture,
        "boxes": _rows(stores.boxes, items, lambda item: _boxes(item)[:max_boxes]),
        "captions": _rows(stores.captions, items, lambda item: [t.strip() for t in item.text]),
        "ocr": _rows(stores.ocr, items, _words),
        "notes": {
            name: item.reason or STATUS_NAMES[item.status]
            for name, item in items.items()
            if not item.is_ok
        },
    }


def write_gallery(
    path: Path, rows: Iterable[ImageRow], stores: Stores, **options: int
) -> dict[str, int]:
    """Write one line an image; return the numbers of `images` and `thumbnails`.

    Args:
        path: .jsonl file.
        rows: lines of images.tsv, in the order to write.
        stores: whose rows are told.
        options: of `describe_image`.
    """
    counts = {"images": 0, "thumbnails": 0}
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8") as file:
        for record in (describe_image(row, stores, **options) for row in rows):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            counts["images"] += 1
            counts["thumbnails"] += record["thumbnail"] is not None
    return counts


def _rows(
    stores: Mapping[str, FeatureStore], items: Mapping[str, StoredItem], tell: Any
) -> dict[str, list[Any]]:
    return {name: tell(items[name]) for name in stores if items[name].is_ok}


def _boxes(item: StoredItem) -> list[dict[str, Any]]:
    names = _names(item)
    return [
        {
            "box": [round(float(value), 1) for value in item.boxes[row]],
            "text": names[row],
            "score": score,
        }
        for row, score in enumerate(_scores(item))
    ]


def _names(item: StoredItem) -> list[str]:
    """Return what each box is: its phrase, or the name of its label."""
    if item.text is not None:
        return list(item.text)
    known = item.vocabulary.get("labels", ())
    if item.labels is None or not known:
        return [""] * item.n_rows
    return [known[label] for label in item.labels]


def _words(item: StoredItem) -> list[dict[str, Any]]:
    pairs = zip(item.text, _scores(item), strict=True)
    return [{"text": word, "score": score} for word, score in pairs]


def _scores(item: StoredItem) -> Iterator[float | None]:
    scores = np.full(item.n_rows, math.nan) if item.scores is None else item.scores
    for score in scores:
        yield None if math.isnan(score) else round(float(score), 3)
