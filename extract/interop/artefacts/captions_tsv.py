"""Captions as Oscar writes them: key, TAB, `[{"caption": text, "conf": number}]`, best first.

`conf` is the probability of the caption; a store's score is its logarithm, as captioners here give
it. Going there and back gives the same float32. Captions of a training file have no `conf`; their
score is NaN. An image without captions has an empty list, one without line is missing.

Lost on export: boxes and all other columns, and why an image without line has no rows.

Source: Li et al. 2020, Oscar, ECCV; github.com/microsoft/Oscar, run_captioning.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import DataError, StoreError
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.interop.tsv import Line, LineReader, iter_lines, key_of, write_tsv
from extract.interop.values import as_list, as_mapping, as_number, as_text, parse_json
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found

if TYPE_CHECKING:
    from extract.store import FeatureStore, StoredItem

HELP = "caption TSV of Oscar / VinVL: several captions an image, with probabilities"
VERSION = 1
GIVES = "captions"

_OUTPUTS = Outputs(text=True, scores=True)


@dataclass(frozen=True)
class Options:
    """What a score is."""

    scores: Literal["log_probability", "as_is"] = "log_probability"
    """Of the store: the logarithm of `conf`, or `conf` itself."""


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read such files; together they are taken for one.

    Raises:
        DataError: a line breaks the format, or a key occurs twice.
        MissingFileError: no such file.
    """
    lines: dict[str, Line] = {}
    for path in source:
        for line, columns in iter_lines(path):
            key_of(columns, line, lines)
            _captions(columns, line, options)
    label = file_label(source)
    found, notes = match_names(lines, images, label)
    places = {image_id: lines[name] for image_id, name in found.items()}
    return Imported(_OUTPUTS, _items(places, images, options, label), notes)


def _items(
    places: Mapping[str, Line], images: Sequence[ImageRow], options: Options, label: str
) -> Iterator[ItemFeatures]:
    with LineReader() as reader:
        for row in images:
            line = places.get(row.image_id)
            if line is None:
                yield absent(row, _OUTPUTS, label)
                continue
            captions = _captions(reader.columns(line), line, options)
            if captions:
                texts, scores = zip(*captions, strict=True)
                yield ItemFeatures(text=texts, scores=np.array(scores, np.float32))
            else:
                yield nothing_found("no caption in the file", _OUTPUTS)


def _captions(columns: Sequence[str], line: Line, options: Options) -> list[tuple[str, float]]:
    if len(columns) != 2:
        raise DataError(f"{line.where}: expected key TAB JSON, got {len(columns)} columns")
    captions = []
    for i, value in enumerate(as_list(parse_json(columns[1], line.where), line.where)):
        record = as_mapping(value, f"{line.where}: [{i}]")
        text = as_text(record.get("caption"), f"{line.where}: [{i}]: caption")
        captions.append((text, _score(record.get("conf"), f"{line.where}: [{i}]: conf", options)))
    return captions


def _score(conf: Any, where: str, options: Options) -> float:
    if conf is None:
        return math.nan
    number = as_number(conf, where)
    if options.scores == "as_is":
        return number
    if number <= 0:
        raise DataError(
            f"{where}: {number:g} is no probability. Where it is another score, import with the "
            'option {"scores": "as_is"}.'
        )
    return math.log(number)


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the file and its `.lineidx`.

    Raises:
        StoreError: the store has no text, or a score is no log-probability.
    """
    if not store.outputs.text:
        raise StoreError(f"{store.path}: has no captions (text rows)")
    counts = {"lines": 0, "left_out": 0, "captions": 0}

    def lines() -> Iterator[tuple[str, str]]:
        for row in images:
            item = store.item(row.image_id)
            if not item.is_ok and item.status != STATUS["nothing_found"]:
                counts["left_out"] += 1
                continue
            records = _records(item, options, f"{store.path}: image {row.image_id!r}")
            counts["captions"] += len(records)
            yield row.image_id, json.dumps(records)

    counts["lines"] = write_tsv(out, lines())
    return counts


def _records(item: "StoredItem", options: Options, where: str) -> list[dict[str, Any]]:
    records = []
    for i, text in enumerate(item.text):
        record: dict[str, Any] = {"caption": text}
        score = math.nan if item.scores is None else float(item.scores[i])
        if not math.isnan(score):
            record["conf"] = score if options.scores == "as_is" else _probability(score, where)
        records.append(record)
    return records


def _probability(score: float, where: str) -> float:
    """Return e^score; it must be distinguishable from 0 and from overflow."""
    if not -700 < score < 80:
        raise StoreError(
            f"{where}: score {score:g} is no log-probability. Export with the option "
            '{"scores": "as_is"}.'
        )
    return math.exp(score)
