"""A folder of Pascal VOC XML, one file an image, as a grounding store: text, box, score.

VOC counts pixels from 1 and includes the last one, in whole numbers: a box of ours, x2/y2
exclusive, is written as x1 + 1, y1 + 1, x2, y2. Whole pixels stay whole; other corners keep their
decimals, which the reader here takes off again exactly. With the option `whole_pixels`, for tools
that take no decimals, a box grows to the pixels that it touches: by less than one on each side.

Lost on export: scores (NaN on import), white space around a text and what kind of line break it
has, parts of a box left of or above the image, why an image has no file, features and attributes.
Boxes without area cannot be written; they are left out and counted.

Source: Everingham et al. 2010, The Pascal Visual Object Classes Challenge; the annotations of GMNER
(Yu et al. 2023, Grounded Multimodal Named Entity Recognition on Social Media, ACL).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from extract.core.errors import DataError
from extract.interop.base import Imported
from extract.interop.exports import fresh_folder, write_manifest
from extract.interop.named_boxes import boxes_of, read_boxes
from extract.interop.names import image_file_name
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Box

if TYPE_CHECKING:
    from extract.store import FeatureStore

HELP = "folder of Pascal VOC XML: named boxes"
VERSION = 1
GIVES = "boxes"

# XML 1.0 has no such characters, not even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Options:
    """How boxes are written."""

    whole_pixels: bool = False
    """Write the whole pixels that a box touches."""


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read folders of XML files; together they are taken for one.

    Raises:
        DataError: a file breaks its format, or two are of one image.
        MissingFileError: no such folder.
    """
    return read_boxes(source, images)


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the folder: a file for each image that has rows, or in which nothing was found.

    Raises:
        ConfigError: `out` is a folder of something else.
        DataError: an id is no file name, or a text cannot stand in XML.
        StoreError: the store has no boxes, or no words for them.
    """
    counts = {"files": 0, "left_out": 0, "boxes": 0, "boxes_without_area": 0}
    with fresh_folder(out) as folder:
        for row in images:
            item = store.item(row.image_id)
            if not item.is_ok and item.status != STATUS["nothing_found"]:
                counts["left_out"] += 1
                continue
            where = f"{store.path}: image {row.image_id!r}"
            if Path(row.image_id).name != row.image_id or row.image_id.startswith("."):
                raise DataError(f"{where}: the id is no file name. Rename the image.")
            boxes = boxes_of(item, where)
            objects = [_object(box, options, where) for box in boxes]
            text = _xml(row, store.image_size(row.image_id), objects)
            (folder / f"{row.image_id}.xml").write_bytes(text.encode("utf-8"))
            counts["files"] += 1
            counts["boxes"] += len(boxes)
            counts["boxes_without_area"] += item.n_rows - len(boxes)
        write_manifest(folder, {"artefact": "voc", "counts": counts})
    return counts


def _object(box: Box, options: Options, where: str) -> str:
    """Return the element of one box."""
    if not box.text.strip() or _NOT_XML.search(box.text):
        raise DataError(f"{where}: text {box.text!r:.60} is blank or cannot stand in XML")
    corners = "".join(
        f"<{tag}>{_corner(value, plus, options)}</{tag}>"
        for tag, value, plus in zip(_TAGS, box.xyxy, (1, 1, 0, 0), strict=True)
    )
    return (
        f"\t<object>\n\t\t<name>{escape(box.text)}</name>\n\t\t<pose>Unspecified</pose>\n"
        "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n"
        f"\t\t<bndbox>{corners}</bndbox>\n\t</object>\n"
    )


_TAGS = ("xmin", "ymin", "xmax", "ymax")


def _corner(value: float, plus: int, options: Options) -> str:
    """Return a coordinate in VOC's counting, without loss unless whole pixels are asked for."""
    if options.whole_pixels:
        return str(math.floor(value) + 1 if plus else math.ceil(value))
    with localcontext(prec=60):
        # The shortest decimals that give the same float32.
        text = format(Decimal(str(np.float32(value))) + plus, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _xml(row: ImageRow, size: tuple[int, int], objects: Sequence[str]) -> str:
    height, width = size
    return (
        f"<annotation>\n\t<filename>{escape(image_file_name(row))}</filename>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n"
        f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{''.join(objects)}"
        "</annotation>\n"
    )
