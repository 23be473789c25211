"""Readers of annotated boxes: Pascal-VOC XML as GMNER publishes it, COCO JSON, and JSON lines.

- A folder: one `<image_id>.xml` an image. An `<object>` has a `<name>`, the entity as the tweet
  writes it, and any number of `<bndbox>` (none: the entity is not in the picture). Several objects
  may have one name. VOC counts pixels from 1 and includes the last one, so xmin is lowered by 1
  and xmax stays: 1..100 becomes 0..100, end exclusive. xmin 0, which some tools write, counts as 1.
  Numbers may have decimals; they are subtracted as decimals, so what was added is taken off again.
- A `.json` file: COCO's `images`, `annotations` and `categories`. A box is `[x, y, width, height]`,
  pixels from 0; its name is that of its category, and it may have a `score`. Images go by their
  `file_name`, without folder and image extension.
- A `.jsonl` file: `{"image_id", "width", "height", "boxes": [{"name", "xyxy"}]}`, pixels from 0,
  end exclusive already.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from extract.core.errors import DataError, MissingFileError
from extract.tables.caption_lists import strip_image_suffix
from extract.tables.rows import Box
from extract.tables.text_lines import iter_jsonl


def read_annotations(path: Path) -> dict[str, tuple[Box, ...]]:
    """Return image id -> its annotated boxes in file order; only COCO has scores.

    Args:
        path: a folder of XML files, a `.json` (COCO) or a `.jsonl` file.

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
    if path.suffix == ".json":
        return _read_coco(path)
    raise DataError(
        f"{path}: expected a folder of Pascal-VOC XML files, a COCO .json or a .jsonl file."
    )


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
            corners = [
                _number(box.findtext(tag), f"{where}: {tag}", less)
                for tag, less in (("xmin", 1), ("ymin", 1), ("xmax", 0), ("ymax", 0))
            ]
            x1, y1, x2, y2 = max(corners[0], 0), max(corners[1], 0), *corners[2:]
            boxes.append(_box((x1, y1, x2, y2), name, where))
    return boxes


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


def _read_coco(path: Path) -> dict[str, tuple[Box, ...]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error)[:80]})") from error
    tables = {}
    for name in ("images", "annotations", "categories"):
        tables[name] = content.get(name) if isinstance(content, dict) else None
        if not isinstance(tables[name], list):
            raise DataError(
                f"{path}: expected COCO's lists images, annotations and categories; "
                f"'{name}' is not there"
            )
    images = _by_id(tables["images"], "file_name", f"{path}: images")
    categories = _by_id(tables["categories"], "name", f"{path}: categories")
    # Without folder and extension, as the ids of the other formats are.
    ids = {i: strip_image_suffix(PurePosixPath(name).name) for i, name in images.items()}
    annotations: dict[str, list[Box]] = {image_id: [] for image_id in ids.values()}
    if len(annotations) < len(ids):
        raise DataError(f"{path}: images: a file_name occurs twice (folders and extensions aside)")
    for number, record in enumerate(tables["annotations"]):
        where = f"{path}: annotations[{number}]"
        try:
            image_id, name = ids[record["image_id"]], categories[record["category_id"]]
            (x, y, width, height), score = record["bbox"], record.get("score")
            box = _box((x, y, x + width, y + height), name, where)
            annotations[image_id].append(Box(box.xyxy, _score(score, where), name))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise DataError(
                f"{where}: expected {{image_id, category_id, bbox: [x, y, width, height]}} with "
                f"ids of images and categories ({error!r:.80})"
            ) from error
    return {image_id: tuple(boxes) for image_id, boxes in annotations.items()}


def _by_id(records: Sequence[Any], field: str, where: str) -> dict[Any, str]:
    """Return id -> a field that must be a string, of one of COCO's lists."""
    found: dict[Any, str] = {}
    for number, record in enumerate(records):
        known = record if isinstance(record, Mapping) else {}
        key, value = known.get("id"), known.get(field)
        if not isinstance(key, int | str) or not isinstance(value, str) or not value:
            raise DataError(f"{where}[{number}]: expected {{id, {field}}}, got {record!r:.60}")
        if key in found:
            raise DataError(f"{where}[{number}]: id {key!r} occurs twice")
        found[key] = value
    return found


def _score(value: Any, where: str) -> float:
    """Return a score, NaN where there is none."""
    if value is None:
        return math.nan
    if not _is_finite(value):
        raise DataError(f"{where}: score should be a finite number, got {value!r:.40}")
    return float(value)


def _is_finite(value: Any) -> bool:
    """True for a number that float32 can hold; comparing is safe for integers of any size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3.4e38


def _number(text: str | None, where: str, less: int = 0) -> float:
    """Return a number of XML less a whole number, computed in decimals."""
    try:
        with localcontext(prec=60):
            return float(Decimal((text or "").strip()) - less)
    except (InvalidOperation, ValueError) as error:
        raise DataError(f"{where}: expected a number, got {text!r}") from error


def _box(xyxy: Sequence[float], name: str, where: str) -> Box:
    """Return a box whose corners are finite and in order."""
    if not isinstance(name, str):
        raise DataError(f"{where}: a name must be a string, got {name!r}")
    if len(xyxy) != 4 or not all(map(_is_finite, xyxy)):
        raise DataError(f"{where}: expected four finite numbers x1 y1 x2 y2, got {xyxy!r:.80}")
    x1, y1, x2, y2 = map(float, xyxy)
    if not (x1 < x2 and y1 < y2):
        raise DataError(f"{where}: the box of {name!r} is empty: {xyxy}")
    return Box((x1, y1, x2, y2), text=name)
