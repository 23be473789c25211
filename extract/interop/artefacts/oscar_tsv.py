"""Region features and labels as Oscar's captioner reads them: `feature.tsv` and `label.tsv`.

- `*feature.tsv`, one line an image: key, TAB, `{"num_boxes": n, "features": base64}`, or, in three
  columns, key, TAB, n, TAB, base64. The base64 is n x 2054 little-endian float32: 2048 features and
  x1/W, y1/H, x2/W, y2/H, w/W, h/H of the box. Without these six values it is n x 2048.
- `*label.tsv`: key, TAB, `[{"class", "rect", "conf"}]`.

A store keeps the 2048 and the boxes in pixels, so the six values are not in its features. Sources
are a feature file, a label file or both; which is which is seen from their lines. With both, row i
of an image is label i: files whose numbers differ, which their authors allow, must be imported one
by one. The rect of a label is the box; where there are no labels it is computed from the six values
and the image's size, right to the rounding of float32 (about 1e-7 of the side).

Lost on export: why an image without line has no rows, attributes, texts, and names that no row
uses; without label.tsv also scores and classes. Half-precision features are written as float32 and
read back exactly with the option `dtype: float16`.

Source: Li et al. 2020, Oscar, ECCV; Zhang et al. 2021, VinVL, CVPR; github.com/microsoft/Oscar.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import ConfigError, DataError, StoreError
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.interop.tsv import Line, LineReader, iter_lines, key_of, write_tsv
from extract.interop.values import (
    as_list,
    as_mapping,
    as_number,
    as_rect,
    as_text,
    as_whole,
    decode_floats,
    encode_floats,
    parse_json,
)
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found

if TYPE_CHECKING:
    from extract.store import FeatureStore, StoredItem

HELP = "feature.tsv and label.tsv of Oscar: region features with geometry, classes"
VERSION = 1
GIVES = "features"

GEOMETRY = 6


@dataclass(frozen=True)
class Options:
    """Form of the lines."""

    feature_dim: int = 2048
    """Values of a feature without geometry."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the features in the store."""
    boxes: bool = True
    """Read boxes; false where there are no labels and sizes of images are not known."""
    form: Literal["json", "three_columns"] = "json"
    """Of an exported feature file; both are read."""
    geometry: bool = True
    """Whether an exported feature ends in the six values of its box."""

    def __post_init__(self) -> None:
        if self.feature_dim < 1:
            raise ValueError(f"feature_dim must be at least 1, got {self.feature_dim}")


@dataclass(frozen=True)
class _Label:
    name: str
    rect: tuple[float, float, float, float]
    conf: float


@dataclass
class _Files:
    """Lines of the feature files and of the label files, by key."""

    features: dict[str, Line]
    labels: dict[str, Line]
    names: set[str]
    """Classes of the label files."""
    has_geometry: bool | None = None
    """None while no line has a box."""


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read feature files, label files or both.

    Raises:
        DataError: a line breaks the format, a key occurs twice, or features and labels of an image
            differ in number.
        MissingFileError: no such file.
    """
    files = _Files({}, {}, set())
    for path in source:
        for line, columns in iter_lines(path):
            _index_line(columns, line, files, options)
    with_boxes = options.boxes and bool(files.labels or files.has_geometry)
    outputs = Outputs(
        feature_dim=options.feature_dim if files.features else 0,
        feature_dtype=options.dtype,
        boxes=with_boxes,
        scores=bool(files.labels),
        labels=tuple(sorted(files.names)),
    )
    if not (outputs.feature_dim or outputs.boxes):
        raise DataError(f"{file_label(source)}: holds neither features nor boxes")
    label = file_label(source)
    found, notes = match_names(files.features.keys() | files.labels.keys(), images, label)
    for kind, other in (("features", "labels"), ("labels", "features")):
        lines, others = getattr(files, kind), getattr(files, other)
        if lines and others:
            notes[f"keys_without_{kind}"] = len(others.keys() - lines.keys())
    return Imported(outputs, _items(files, found, images, outputs, options, label), notes)


def _index_line(columns: Sequence[str], line: Line, files: _Files, options: Options) -> None:
    """Remember and check a line, but for its values."""
    value = parse_json(columns[1], line.where) if len(columns) == 2 else None
    if isinstance(value, list):
        key_of(columns, line, files.labels)
        files.names.update(label.name for label in _labels(columns, line))
        return
    key_of(columns, line, files.features)
    n_boxes, text = _feature_columns(columns, line)
    if text and not n_boxes:
        raise DataError(f"{line.where}: no boxes, but {len(text)} characters of features")
    if n_boxes:
        width = _width(n_boxes, text, options.feature_dim, line)
        has_geometry = width > options.feature_dim
        if files.has_geometry not in (None, has_geometry):
            raise DataError(f"{line.where}: {width} values a box, other lines have another number")
        files.has_geometry = has_geometry


def _feature_columns(columns: Sequence[str], line: Line) -> tuple[int, str]:
    """Return the number of boxes and the base64 of a feature line in either form."""
    if len(columns) == 3:
        if not (columns[1].isascii() and columns[1].isdigit() and len(columns[1]) < 9):
            raise DataError(f"{line.where}: expected a number of boxes, got {columns[1]!r:.40}")
        return int(columns[1]), columns[2]
    if len(columns) != 2:
        raise DataError(f"{line.where}: expected two or three columns, got {len(columns)}")
    record = as_mapping(parse_json(columns[1], line.where), line.where)
    n_boxes = as_whole(record.get("num_boxes"), f"{line.where}: num_boxes")
    return n_boxes, as_text(record.get("features"), f"{line.where}: features")


def _width(n_boxes: int, text: str, feature_dim: int, line: Line) -> int:
    """Return the number of values a box, from the length of the base64 alone.

    Raises:
        DataError: it is neither that of features nor that of features and geometry.
    """
    n_bytes = len(text) // 4 * 3 - text[-2:].count("=")
    for width in (feature_dim + GEOMETRY, feature_dim):
        if n_bytes == n_boxes * width * 4:
            return width
    found = n_bytes / (4 * n_boxes)
    halved = " Half the width: were the values written as float16?" * (
        found in (feature_dim / 2, (feature_dim + GEOMETRY) / 2)
    )
    raise DataError(
        f"{line.where}: expected {n_boxes} boxes of {feature_dim + GEOMETRY} or {feature_dim} "
        f"float32, got {n_bytes} bytes, which are {found:g} float32 a box.{halved}"
    )


def _labels(columns: Sequence[str], line: Line) -> list[_Label]:
    labels = []
    for i, value in enumerate(as_list(parse_json(columns[1], line.where), line.where)):
        where = f"{line.where}: [{i}]"
        record = as_mapping(value, where)
        name = as_text(record.get("class"), f"{where}: class")
        if not name:
            raise DataError(f"{where}: class is empty")
        rect = as_rect(record.get("rect"), f"{where}: rect")
        conf = record.get("conf")
        score = np.nan if conf is None else as_number(conf, f"{where}: conf")
        labels.append(_Label(name, rect, score))
    return labels


def _items(
    files: _Files,
    found: Mapping[str, str],
    images: Sequence[ImageRow],
    outputs: Outputs,
    options: Options,
    label: str,
) -> Iterator[ItemFeatures]:
    index = {name: i for i, name in enumerate(outputs.labels)}
    needed = [getattr(files, kind) for kind in ("features", "labels") if getattr(files, kind)]
    with LineReader() as reader:
        for row in images:
            key = found.get(row.image_id)
            if key is None or any(key not in lines for lines in needed):
                yield absent(row, outputs, label)
                continue
            columns = {}
            if files.features:
                line = files.features[key]
                columns = _feature_rows(reader.columns(line), line, row, outputs, options)
            if files.labels:
                line = files.labels[key]
                labels = _labels(reader.columns(line), line)
                _check_numbers(columns, labels, line)
                columns |= _label_rows(labels, index, outputs)
            result = ItemFeatures(**columns)
            yield result if result.n_rows else nothing_found("no box in the file", outputs)


def _feature_rows(
    columns: Sequence[str], line: Line, row: ImageRow, outputs: Outputs, options: Options
) -> dict[str, np.ndarray]:
    n_boxes, text = _feature_columns(columns, line)
    if not n_boxes:
        return {"features": np.zeros((0, outputs.feature_dim), np.float32)}
    values = decode_floats(text, f"{line.where}: features").reshape(n_boxes, -1)
    rows = {"features": values[:, : options.feature_dim]}
    if outputs.boxes and values.shape[1] > options.feature_dim and not outputs.scores:
        rows["boxes"] = _boxes_of(values[:, options.feature_dim :], row, line)
    return rows


def _boxes_of(geometry: np.ndarray, row: ImageRow, line: Line) -> np.ndarray:
    """Return boxes in pixels. # shape: (R, 4)"""
    if not row.height:
        raise DataError(
            f"{line.where}: the size of image {row.image_id!r} is not known, so its boxes are not "
            'in pixels. Give label.tsv as well, or import with the option {"boxes": false}.'
        )
    size = np.array([row.width, row.height] * 2, np.float64)
    return (geometry[:, :4].astype(np.float64) * size).astype(np.float32)


def _check_numbers(columns: Mapping[str, np.ndarray], labels: Sequence[_Label], line: Line) -> None:
    if columns and len(columns["features"]) != len(labels):
        raise DataError(
            f"{line.where}: {len(labels)} labels, but {len(columns['features'])} features. Rows "
            "cannot be joined: import feature.tsv and label.tsv into two stores."
        )


def _label_rows(
    labels: Sequence[_Label], index: Mapping[str, int], outputs: Outputs
) -> dict[str, np.ndarray]:
    rows = {"scores": np.array([label.conf for label in labels], np.float32)}
    if outputs.labels:
        rows["labels"] = np.array([index[label.name] for label in labels], np.int32)
    if outputs.boxes:
        boxes = np.array([label.rect for label in labels], np.float32)
        rows["boxes"] = boxes.reshape(-1, 4)
    return rows


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write `*feature.tsv` and, where the store has classes, `*label.tsv` beside it.

    Both get their `.lineidx`. Images without rows get a line only where nothing was found.

    Raises:
        ConfigError: `out` does not end in `feature.tsv`.
        StoreError: the store lacks features, boxes or sizes that the options ask for.
    """
    if not out.name.endswith("feature.tsv"):
        raise ConfigError(f"--out: expected a name ending in feature.tsv, got '{out.name}'")
    outputs = store.outputs
    if outputs.feature_dim != options.feature_dim or outputs.feature_dtype == "uint8":
        raise StoreError(
            f"{store.path}: features have {outputs.feature_dim} values, not {options.feature_dim}."
            " See the option feature_dim."
        )
    if (options.geometry or outputs.labels) and not outputs.boxes:
        raise StoreError(f'{store.path}: has no boxes. Export with {{"geometry": false}}.')
    items = [(row, store.item(row.image_id).status) for row in images]
    written = [row for row, status in items if status in (STATUS["ok"], STATUS["nothing_found"])]
    write_tsv(out, (_feature_line(store, row, options) for row in written))
    if outputs.labels:
        path = out.with_name(out.name.removesuffix("feature.tsv") + "label.tsv")
        write_tsv(path, (_label_line(store, row) for row in written))
    return {"lines": len(written), "left_out": len(images) - len(written)}


def _feature_line(store: "FeatureStore", row: ImageRow, options: Options) -> tuple[str, ...]:
    item = store.item(row.image_id)
    values = item.features.astype(np.float32)
    if options.geometry:
        values = np.concatenate([values, _geometry(store, row, item)], axis=1)
    text = encode_floats(values)
    if options.form == "three_columns":
        return row.image_id, str(item.n_rows), text
    return row.image_id, json.dumps({"num_boxes": item.n_rows, "features": text})


def _geometry(store: "FeatureStore", row: ImageRow, item: "StoredItem") -> np.ndarray:
    """Return x1/W, y1/H, x2/W, y2/H, w/W, h/H of each box. # shape: (R, 6), float32"""
    height, width = store.image_size(row.image_id)
    if item.n_rows and not height:
        raise StoreError(
            f"{store.path}: the size of image {row.image_id!r} is not known, so its geometry is "
            'not. Export with {"geometry": false}.'
        )
    boxes = item.boxes.astype(np.float64) / np.array([width or 1, height or 1] * 2)
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes, sides], axis=1).astype(np.float32)


def _label_line(store: "FeatureStore", row: ImageRow) -> tuple[str, str]:
    item = store.item(row.image_id)
    records = []
    for i in range(item.n_rows):
        name = item.vocabulary["labels"][item.labels[i]]
        record: dict[str, Any] = {"class": name, "rect": item.boxes[i].tolist()}
        if item.scores is not None and not np.isnan(item.scores[i]):
            record["conf"] = float(item.scores[i])
        records.append(record)
    return row.image_id, json.dumps(records)
