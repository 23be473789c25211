"""One COCO JSON (images, annotations, categories) as a grounding store: text, box, score.

The text of a row is the name of its category; a box is `[x, y, width, height]`, pixels from 0, and
keeps its float32 corners exactly; a `score` is optional, NaN where it is not there.

Lost on export: why an image is not in the file, features and attributes. Boxes without area are
left out and counted.

Source: Lin et al. 2014, Microsoft COCO, ECCV; cocodataset.org, data format.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.core.errors import DataError
from extract.core.files import write_text
from extract.interop.base import Imported
from extract.interop.named_boxes import boxes_of, read_boxes
from extract.interop.names import image_file_name
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS

if TYPE_CHECKING:
    from extract.store import FeatureStore

HELP = "COCO JSON: boxes named by their category, with scores"
VERSION = 1
GIVES = "boxes"


@dataclass(frozen=True)
class Options:
    """There is nothing to choose."""


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read such files; together they are taken for one.

    Raises:
        DataError: a file breaks its format, or an image is in two.
        MissingFileError: no such file.
    """
    for path in source:
        if path.exists() and path.suffix != ".json":
            raise DataError(f"{path}: expected a COCO file named .json")
    return read_boxes(source, images)


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the file; numbers of images, categories and annotations count from 1.

    Raises:
        DataError: `out` is not named `.json`.
        StoreError: the store has no boxes, or no words for them.
    """
    if out.suffix != ".json":
        raise DataError(f"--out: expected a name ending in .json, got '{out.name}'")
    listed = [
        (row, item)
        for row in images
        if (item := store.item(row.image_id)).is_ok or item.status == STATUS["nothing_found"]
    ]
    boxes = [boxes_of(item, f"{store.path}: image {row.image_id!r}") for row, item in listed]
    names = sorted({box.text for of_image in boxes for box in of_image})
    ids = {name: number for number, name in enumerate(names, start=1)}
    annotations: list[dict[str, Any]] = []
    for number, of_image in enumerate(boxes, start=1):
        for box in of_image:
            x1, y1, x2, y2 = box.xyxy
            record = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": ids[box.text],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            annotations.append(record | ({} if math.isnan(box.score) else {"score": box.score}))
    content = {
        "images": [_image(store, row, number) for number, (row, _) in enumerate(listed, start=1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    write_text(out, json.dumps(content, ensure_ascii=False) + "\n")
    n_rows = sum(item.n_rows for _, item in listed)
    return {
        "images": len(listed),
        "left_out": len(images) - len(listed),
        "boxes": len(annotations),
        "boxes_without_area": n_rows - len(annotations),
    }


def _image(store: "FeatureStore", row: ImageRow, number: int) -> dict[str, Any]:
    height, width = store.image_size(row.image_id)
    return {
        "id": number, "file_name": image_file_name(row), "width": width, "height": height
    }  # fmt: skip
