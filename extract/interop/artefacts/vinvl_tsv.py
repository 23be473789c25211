"""`predictions.tsv` of VinVL's detector: regions with classes, attributes and features.

One line an image: key, TAB, `{"objects": [...], "relations": null}`; an object has `rect`
(x1, y1, x2, y2 in pixels of the original image), `class`, `conf`, `feature` (base64 of
little-endian float32) and, where they were asked for, `attributes` and `attr_scores`. Its fixed
list of sixteen attributes ends in entries of score zero with any label; these are dropped.

A line without objects is `nothing_found`; an image without line is `missing`. Vocabularies are the
sorted names of the whole file, so indices differ between files and names do not. Lost on export:
why an image without line has no rows, names that no row uses, attributes of score zero or less,
and texts. Half-precision features are written as float32 and read back exactly with the option
`dtype: float16`.

Source: Zhang et al. 2021, VinVL, CVPR; the writer of github.com/microsoft/scene_graph_benchmark.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import DataError, StoreError
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.interop.tsv import Line, LineReader, iter_lines, key_of, write_tsv
from extract.interop.values import (
    as_list,
    as_mapping,
    as_number,
    as_rect,
    as_text,
    decode_floats,
    encode_floats,
    parse_json,
)
from extract.tables.images_table import ImageRow
from extract.tables.rows import ATTRIBUTES_PER_ROW, STATUS, ItemFeatures, Outputs, nothing_found

if TYPE_CHECKING:
    from extract.store import FeatureStore, StoredItem

HELP = "predictions.tsv of scene_graph_benchmark (VinVL): boxes, classes, attributes, features"
VERSION = 1
GIVES = "features"


@dataclass(frozen=True)
class Options:
    """What the features are."""

    feature_dim: int = 2048
    """Values of a feature; other lengths are refused. 0 reads and writes none."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the features in the store."""

    def __post_init__(self) -> None:
        if self.feature_dim < 0:
            raise ValueError(f"feature_dim must not be negative, got {self.feature_dim}")


@dataclass(frozen=True)
class Region:
    """One object of a line, checked; its feature is decoded later."""

    rect: tuple[float, float, float, float]
    name: str
    conf: float
    attributes: tuple[tuple[str, float], ...]
    """(attribute, score), best first, at most 16."""
    feature: Any


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read such files; together they are taken for one.

    Raises:
        DataError: a line breaks the format, or a key occurs twice.
        MissingFileError: no such file.
    """
    lines: dict[str, Line] = {}
    names: set[str] = set()
    attributes: set[str] = set()
    notes = {"objects": 0, "zero_score_attributes": 0, "attributes_over_16": 0}
    for path in source:
        for line, columns in iter_lines(path):
            key_of(columns, line, lines)
            for region in _regions(columns, line, notes):
                names.add(region.name)
                attributes.update(word for word, _ in region.attributes)
    outputs = Outputs(
        feature_dim=options.feature_dim,
        feature_dtype=options.dtype,
        boxes=True,
        scores=True,
        labels=tuple(sorted(names)),
        attributes=tuple(sorted(attributes)),
    )
    label = file_label(source)
    found, counts = match_names(lines, images, label)
    places = {image_id: lines[name] for image_id, name in found.items()}
    return Imported(outputs, _items(places, images, outputs, label), {**counts, **notes})


def _regions(columns: Sequence[str], line: Line, notes: dict[str, int]) -> list[Region]:
    """Return the objects of a line and count what was seen."""
    if len(columns) != 2:
        raise DataError(f"{line.where}: expected key TAB JSON, got {len(columns)} columns")
    record = as_mapping(parse_json(columns[1], line.where), line.where)
    objects = as_list(record.get("objects"), f"{line.where}: objects")
    regions = [_region(o, f"{line.where}: objects[{i}]", notes) for i, o in enumerate(objects)]
    notes["objects"] += len(regions)
    return regions


def _region(value: Any, where: str, notes: dict[str, int]) -> Region:
    record = as_mapping(value, where)
    name = as_text(record.get("class"), f"{where}: class")
    if not name:
        raise DataError(f"{where}: class is empty")
    return Region(
        as_rect(record.get("rect"), f"{where}: rect"),
        name,
        as_number(record.get("conf"), f"{where}: conf"),
        _attributes(record, where, notes),
        record.get("feature"),
    )


def _attributes(
    record: Mapping[str, Any], where: str, notes: dict[str, int]
) -> tuple[tuple[str, float], ...]:
    words = as_list(record.get("attributes", []), f"{where}: attributes")
    scores = as_list(record.get("attr_scores", []), f"{where}: attr_scores")
    if len(words) != len(scores):
        raise DataError(f"{where}: {len(words)} attributes but {len(scores)} attr_scores")
    pairs = [
        (as_text(word, f"{where}: attributes"), as_number(score, f"{where}: attr_scores"))
        for word, score in zip(words, scores, strict=True)
    ]
    # As float32, in which scores are stored: what becomes zero there is padding to a later reader.
    kept = sorted((p for p in pairs if np.float32(p[1]) > 0), key=lambda pair: -pair[1])
    notes["zero_score_attributes"] += len(pairs) - len(kept)
    notes["attributes_over_16"] += max(0, len(kept) - ATTRIBUTES_PER_ROW)
    return tuple(kept[:ATTRIBUTES_PER_ROW])


def _items(
    places: Mapping[str, Line], images: Sequence[ImageRow], outputs: Outputs, label: str
) -> Iterator[ItemFeatures]:
    index = {name: {w: i for i, w in enumerate(getattr(outputs, name))} for name in _VOCABULARIES}
    ignored = dict.fromkeys(("objects", "zero_score_attributes", "attributes_over_16"), 0)
    with LineReader() as reader:
        for row in images:
            line = places.get(row.image_id)
            if line is None:
                yield absent(row, outputs, label)
                continue
            regions = _regions(reader.columns(line), line, ignored)
            if regions:
                yield _rows(regions, outputs, index, line.where)
            else:
                yield nothing_found("no object in the file", outputs)


_VOCABULARIES = ("labels", "attributes")


def _rows(
    regions: Sequence[Region],
    outputs: Outputs,
    index: Mapping[str, Mapping[str, int]],
    where: str,
) -> ItemFeatures:
    columns: dict[str, np.ndarray] = {
        "boxes": np.array([region.rect for region in regions], np.float32),
        "scores": np.array([region.conf for region in regions], np.float32),
        "labels": np.array([index["labels"][region.name] for region in regions], np.int32),
    }
    if outputs.feature_dim:
        columns["features"] = np.stack(
            [
                _feature(region.feature, outputs.feature_dim, f"{where}: objects[{i}]: feature")
                for i, region in enumerate(regions)
            ]
        )
    if outputs.attributes:
        ids = np.full((len(regions), ATTRIBUTES_PER_ROW), -1, np.int32)
        scores = np.full(ids.shape, np.nan, np.float32)
        for i, region in enumerate(regions):
            for j, (word, score) in enumerate(region.attributes):
                ids[i, j], scores[i, j] = index["attributes"][word], score
        columns |= {"attributes": ids, "attribute_scores": scores}
    return ItemFeatures(**columns)


def _feature(value: Any, dim: int, where: str) -> np.ndarray:
    if value is None:
        raise DataError(
            f"{where}: is not there. Run the detector with TEST.OUTPUT_FEATURE True, or import "
            'with the option {"feature_dim": 0}.'
        )
    values = decode_floats(value, where)
    if len(values) != dim:
        raise DataError(
            f"{where}: expected {dim} float32 ({4 * dim} bytes), got {len(values)} "
            f"({4 * len(values)} bytes). See the option feature_dim."
        )
    return values


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the file and its `.lineidx`; missing and unreadable images get no line.

    Raises:
        StoreError: the store lacks boxes, scores or classes, or a row has no score.
    """
    outputs = store.outputs
    if not (outputs.boxes and outputs.scores and outputs.labels):
        raise StoreError(f"{store.path}: VinVL's file needs boxes, scores and labels in each row")
    if options.feature_dim and outputs.feature_dim != options.feature_dim:
        raise StoreError(
            f"{store.path}: features have {outputs.feature_dim} values, not {options.feature_dim}."
            " See the option feature_dim."
        )
    counts = {"lines": 0, "left_out": 0, "objects": 0}

    def lines() -> Iterator[tuple[str, str]]:
        for row in images:
            item = store.item(row.image_id)
            if not item.is_ok and item.status != STATUS["nothing_found"]:
                counts["left_out"] += 1
                continue
            where = f"{store.path}: image {row.image_id!r}"
            objects = [_object(item, i, options, where) for i in range(item.n_rows)]
            counts["objects"] += len(objects)
            yield row.image_id, json.dumps({"objects": objects, "relations": None})

    counts["lines"] = write_tsv(out, lines())
    return counts


def _object(item: "StoredItem", row: int, options: Options, where: str) -> dict[str, Any]:
    conf = float(item.scores[row])
    if not np.isfinite(conf):
        raise StoreError(f"{where}: row {row} has no score, and VinVL's readers need one")
    record = {
        "rect": item.boxes[row].tolist(),
        "bbox_id": row,
        "class": item.vocabulary["labels"][item.labels[row]],
        "conf": conf,
    }
    if options.feature_dim:
        record["feature"] = encode_floats(item.features[row])
    if item.attributes is not None:
        pairs = item.attributes_of(row)
        record["attributes"] = [word for word, _ in pairs]
        record["attr_scores"] = [score for _, score in pairs]
    return record
