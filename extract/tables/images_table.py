"""`images.tsv`: one line an image of the corpus, checked when it is read."""

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extract.core.errors import DataError, MissingFileError
from extract.core.files import atomic_path
from extract.tables.bytes_on_disk import FileBytes
from extract.tables.lazy_table import LazyTable, pack, pack_texts
from extract.tables.rows import STATUS
from extract.tables.text_index import TextIndex


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One line of images.tsv: an image, where it is, and whether it can be read."""

    image_id: str
    path: str
    """As the corpus gives it, relative to the working directory; empty when missing."""
    sha256: str
    """Of the file's bytes; empty unless the status is ok."""
    height: int
    width: int
    """Pixels of the upright image (after EXIF orientation); 0 when unreadable."""
    status: str
    """`ok`, `missing`, `unreadable` or `no_images`."""
    reason: str = ""
    """Why the status is not ok, in words."""


_PIXELS = re.compile("[0-9]{1,10}")
_MOST_PIXELS = 2**31 - 1  # what a store can hold of a side
IMAGE_COLUMNS = tuple(ImageRow.__dataclass_fields__)
_QUOTED = re.compile(r'[\t\n\r"]')


def write_images(path: Path, rows: Iterable[ImageRow]) -> int:
    """Write images.tsv; return the number of images."""
    count = 0
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        file.write(_tsv_line(IMAGE_COLUMNS))
        for row in rows:
            file.write(_row_line(row))
            count += 1
    return count


def pack_images(rows: Iterable[ImageRow]) -> LazyTable[ImageRow]:
    """Return the rows as the bytes of their file, each to be parsed when it is looked at."""
    return pack((_row_line(row).encode("utf-8") for row in rows), _parse_row)


def _row_line(row: ImageRow) -> str:
    return _tsv_line([str(getattr(row, column)) for column in IMAGE_COLUMNS])


def _tsv_line(fields: Iterable[str]) -> str:
    """Return a line as `csv` writes it, but with quotes around a carriage return as well.

    Without them `csv` cannot read what it wrote: to the reader a carriage return ends a line.
    """
    return "\t".join(map(_quoted, fields)) + "\n"


def _quoted(field: str) -> str:
    if not _QUOTED.search(field):
        return field
    return '"' + field.replace('"', '""') + '"'


def read_images(path: Path) -> LazyTable[ImageRow]:
    """Check images.tsv and return its rows in manifest order, to be parsed when they are needed.

    Raises:
        MissingFileError: no such file.
        DataError: other columns, an unknown status, or an image id twice.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Make it with the `dataset` command or rule.")
    bounds, lines = array("q"), array("q")
    data = FileBytes(path.open("rb"))
    ids = pack_texts(_iter_ids(data.lines(), path, bounds, lines))
    if not bounds:
        raise DataError(f"{path}:1: expected columns {IMAGE_COLUMNS}, got ()")
    again = TextIndex(ids).first_repeat()
    if again is not None:
        raise DataError(f"{path}:{lines[again]}: image id {ids[again]!r} occurs twice")
    return LazyTable(data, np.frombuffer(bounds, np.int64), _parse_row)


def _iter_ids(rows: Iterable[bytes], path: Path, bounds: array, lines: array) -> Iterator[str]:
    """Yield the id of each checked row; add the byte after it to `bounds`, its line to `lines`."""
    for number, end, fields in _iter_tsv(rows, path):
        if bounds:
            lines.append(number)
            yield _image_row(fields, f"{path}:{number}").image_id
        elif tuple(fields) != IMAGE_COLUMNS:
            raise DataError(f"{path}:1: expected columns {IMAGE_COLUMNS}, got {tuple(fields)}")
        bounds.append(end)


class ImageRows(Mapping[str, ImageRow]):
    """Rows of images.tsv by image id.

    Args:
        rows: of different ids.
    """

    def __init__(self, rows: Sequence[ImageRow]) -> None:
        self._rows = rows
        self._ids = pack_texts(row.image_id for row in rows)
        self._index = TextIndex(self._ids)

    def __getitem__(self, image_id: str) -> ImageRow:
        """Return the row of an image."""
        place = self._index.find(image_id)
        if place is None:
            raise KeyError(image_id)
        return self._rows[place]

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _iter_tsv(rows: Iterable[bytes], path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yield (number of its last line, byte after it, fields) of each record.

    Raises:
        DataError: not UTF-8, or no table.
    """
    position = 0

    def lines() -> Iterator[str]:
        nonlocal position
        for line in rows:
            position += len(line)
            yield line.decode("utf-8")

    reader = csv.reader(lines(), delimiter="\t")
    try:
        for fields in reader:
            yield reader.line_num, position, fields
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}); is this images.tsv?") from error
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}; is this images.tsv?") from error


def _parse_row(record: bytes) -> ImageRow:
    return _image_row(next(csv.reader([record.decode("utf-8")], delimiter="\t")), "images.tsv")


def _image_row(fields: list[str], where: str) -> ImageRow:
    if len(fields) != len(IMAGE_COLUMNS):
        raise DataError(f"{where}: expected {len(IMAGE_COLUMNS)} fields, got {len(fields)}")
    record = dict(zip(IMAGE_COLUMNS, fields, strict=True))
    sizes = {}
    for name in ("height", "width"):
        if not _PIXELS.fullmatch(record[name]) or int(record[name]) > _MOST_PIXELS:
            raise DataError(
                f"{where}: {name} should be a whole number up to {_MOST_PIXELS}, got "
                f"{record[name]!r:.40}"
            )
        sizes[name] = int(record[name])
    if record["status"] not in STATUS:
        known = ", ".join(STATUS)
        raise DataError(f"{where}: unknown status {record['status']!r}; known: {known}")
    return ImageRow(**{**record, **sizes})
