"""Named boxes of any annotation format <-> rows of a grounding store."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import DataError, StoreError
from extract.features.annotations import read_annotations
from extract.grounding.base import GROUNDING_OUTPUTS, GroundedRow, rows_to_features
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.tables.images_table import ImageRow
from extract.tables.rows import Box, ItemFeatures, nothing_found

if TYPE_CHECKING:
    from extract.store import StoredItem


def read_boxes(source: Sequence[Path], images: Sequence[ImageRow]) -> Imported:
    """Read annotated boxes, in whatever format, as rows of a grounding store."""
    annotations: dict[str, tuple[Box, ...]] = {}
    for path in source:
        for name, boxes in read_annotations(path).items():
            if name in annotations:
                raise DataError(f"{path}: image {name!r} was already in another source")
            annotations[name] = boxes
    label = file_label(source)
    found, notes = match_names(annotations, images, label)
    boxes = {image_id: annotations[name] for image_id, name in found.items()}
    return Imported(GROUNDING_OUTPUTS, _items(boxes, images, label), notes)


def _items(
    boxes: Mapping[str, tuple[Box, ...]], images: Sequence[ImageRow], label: str
) -> Iterator[ItemFeatures]:
    for row in images:
        if row.image_id not in boxes:
            yield absent(row, GROUNDING_OUTPUTS, label)
        elif not boxes[row.image_id]:
            yield nothing_found("no box in the file", GROUNDING_OUTPUTS)
        else:
            yield rows_to_features(
                [GroundedRow(box.text, box.xyxy, box.score) for box in boxes[row.image_id]]
            )


def boxes_of(item: "StoredItem", where: str) -> list[Box]:
    """Return the boxes of an item that have an area, with text or class.

    Raises:
        StoreError: the store has no boxes, or no words for them.
    """
    if item.boxes is None or (item.text is None and item.labels is None):
        raise StoreError(f"{where}: a box needs a text or a class; give a grounding store")
    names = item.text
    if names is None:
        names = [item.vocabulary["labels"][label] for label in item.labels]
    scores = [math.nan] * item.n_rows if item.scores is None else item.scores.tolist()
    boxes = [
        Box(tuple(map(float, box)), score, name)
        for box, score, name in zip(item.boxes, scores, names, strict=True)
    ]
    return [box for box in boxes if box.xyxy[0] < box.xyxy[2] and box.xyxy[1] < box.xyxy[3]]
