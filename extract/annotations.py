"""Readers of annotated boxes: Pascal-VOC XML as GMNER publishes it, and the sample's JSON lines.

- A folder: one `<image_id>.xml` an image. An `<object>` has a `<name>`, the entity as the tweet
  writes it, and any number of `<bndbox>` (none: the entity is not in the picture). Several objects
  may have one name. VOC counts pixels from 1 and includes the last one, so xmin is lowered by 1
  and xmax stays: 1..100 becomes 0..100, end exclusive. xmin 0, which some tools write, counts as 1.
- A `.jsonl` file: `{"image_id", "width", "height", "boxes": [{"name", "xyxy"}]}`, pixels from 0,
  end exclusive already.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from extract.errors import DataError, MissingFileError
from extract.extractors.base import Box
from extract.manifest import iter_jsonl


def read_annotations(path: Path) -> dict[str, tuple[Box, ...]]:
    """Return image id -> its annotated boxes in file order, without scores.

    Args:
        path: a folder of XML files, or a `.jsonl` file.

    Raises:
        MissingFileError: no such path, or a folder without XML files.
        DataError: a file breaks its format; the message has file and line.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        if not files:
            raise MissingFileError(f"{path}: no *.xml files in this folder of annotations.")
        return {file.stem: tuple(_boxes_of_xml(file)) for file in files}
    if path.suffix == ".jsonl":
        return _read_jsonl(path)
    if not path.exists():
        raise MissingFileError(f"{path}: no such folder or file of annotations.")
    raise DataError(f"{path}: expected a folder of Pascal-VOC XML files or a .jsonl file.")


def _boxes_of_xml(path: Path) -> list[Box]:
    root = _parse_xml(path)
    if root.tag != "annotation":
        raise DataError(f"{path}:{root.get('line')}: expected <annotation>, got <{root.tag}>")
    boxes = []
    for element in root.findall("object"):
        name = (element.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{path}:{element.get('line')}: <object> without <name>")
        for box in element.findall("bndbox"):
            where = f"{path}:{box.get('line')}"
            corners = [_number(box.findtext(tag), f"{where}: {tag}") for tag in _CORNERS]
            x1, y1, x2, y2 = max(corners[0] - 1, 0), max(corners[1] - 1, 0), *corners[2:]
            boxes.append(_box((x1, y1, x2, y2), name, where))
    return boxes


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _parse_xml(path: Path) -> ElementTree.Element:
    """Return the tree with each element's line number as its only attribute.

    A document type is refused before it is read: entities could expand to any size.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise DataError(
            f"{path}:{parser.CurrentLineNumber}: <!DOCTYPE> and entities are not allowed "
            "in annotations"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda tag, _: builder.start(
        tag, {"line": str(parser.CurrentLineNumber)}
    )
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise DataError(
            f"{path}:{error.lineno}: not well-formed XML ({expat.ErrorString(error.code)})"
        ) from error
    return builder.close()


def _read_jsonl(path: Path) -> dict[str, tuple[Box, ...]]:
    annotations: dict[str, tuple[Box, ...]] = {}
    for number, record in iter_jsonl(path):
        where = f"{path}:{number}"
        try:
            image_id, items = record["image_id"], record["boxes"]
            boxes = tuple(_box(item["xyxy"], item["name"], where) for item in items)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{where}: expected {{image_id, boxes: [{{name, xyxy}}]}} ({error!r})"
            ) from error
        if image_id in annotations:
            raise DataError(f"{where}: image id {image_id!r} occurs twice")
        annotations[image_id] = boxes
    return annotations


def _number(text: str | None, where: str) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise DataError(f"{where}: expected a number, got {text!r}") from error


def _box(xyxy: Sequence[float], name: str, where: str) -> Box:
    """Return a box whose corners are finite and in order."""
    if not isinstance(name, str):
        raise DataError(f"{where}: a name must be a string, got {name!r}")
    if len(xyxy) != 4 or not all(
        isinstance(value, int | float) and math.isfinite(value) for value in xyxy
    ):
        raise DataError(f"{where}: expected four finite numbers x1 y1 x2 y2, got {xyxy}")
    x1, y1, x2, y2 = map(float, xyxy)
    if not (x1 < x2 and y1 < y2):
        raise DataError(f"{where}: the box of {name!r} is empty: {xyxy}")
    return Box((x1, y1, x2, y2), text=name)
