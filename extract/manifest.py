"""The two tables that every stage shares: `samples/{split}.jsonl` and `images.tsv`."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from extract.atomic import atomic_path
from extract.errors import DataError, MissingFileError

SPLITS = ("train", "valid", "test")

# Item status of the HDF5 format 1.0 (see extract/store/), by name.
STATUS = {"ok": 0, "missing": 1, "unreadable": 2, "nothing_found": 3, "no_images": 4}
STATUS_NAMES = {code: name for name, code in STATUS.items()}


@dataclass(frozen=True)
class Sample:
    """One text with its image id and, when labelled, its tags."""

    id: str
    image_id: str
    tokens: list[str]
    tags: list[str] | None = None
    """BIO tags, one a token; None for unlabelled text."""
    evidence: str | None = None
    """What decides the entity types of the tweet, where a corpus says so."""
    repaired_tags: list[str] | None = None
    """Tags after label corrections (extract/repairs/); None where these change nothing."""

    @property
    def gold_after_repairs(self) -> list[str] | None:
        """The corrected tags where there are such, else the original ones."""
        return self.tags if self.repaired_tags is None else self.repaired_tags


@dataclass(frozen=True)
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


IMAGE_COLUMNS = tuple(ImageRow.__dataclass_fields__)


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write one JSON object a line, leaving out absent fields; return their number."""
    count = 0
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8") as file:
        for sample in samples:
            record = {key: value for key, value in asdict(sample).items() if value is not None}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def iter_jsonl(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield (line number, object) of a JSON-lines file.

    Raises:
        MissingFileError: no such file.
        DataError: a line is not a JSON object.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Run the rule or command that makes it.")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: not UTF-8 ({error.reason})") from error
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not a JSON object ({error.msg})") from error
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: expected a JSON object, got {record!r:.40}")
            yield number, record


def read_samples(path: Path) -> list[Sample]:
    """Read `samples/{split}.jsonl`.

    Raises:
        DataError: a field is missing or unknown, or tags and tokens differ in number.
    """
    samples = []
    for number, record in iter_jsonl(path):
        try:
            sample = Sample(**record)
        except TypeError as error:
            message = str(error).removeprefix("Sample.__init__() ")
            raise DataError(f"{path}:{number}: {message}") from error
        for name in ("tags", "repaired_tags"):
            tags = getattr(sample, name)
            if tags is not None and len(tags) != len(sample.tokens):
                raise DataError(
                    f"{path}:{number}: {len(sample.tokens)} tokens but {len(tags)} {name}"
                )
        samples.append(sample)
    return samples


def write_images(path: Path, rows: Iterable[ImageRow]) -> int:
    """Write images.tsv; return the number of images."""
    rows = list(rows)
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(IMAGE_COLUMNS)
        for row in rows:
            writer.writerow([getattr(row, column) for column in IMAGE_COLUMNS])
    return len(rows)


def read_images(path: Path) -> list[ImageRow]:
    """Read images.tsv in manifest order.

    Raises:
        MissingFileError: no such file.
        DataError: other columns, an unknown status, or an image id twice.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Make it with the `dataset` command or rule.")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}); is this images.tsv?") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    header = tuple(next(reader, ()))
    if header != IMAGE_COLUMNS:
        raise DataError(f"{path}:1: expected columns {IMAGE_COLUMNS}, got {header}")
    rows, seen = [], set()
    for fields in reader:
        row = _image_row(fields, f"{path}:{reader.line_num}")
        if row.image_id in seen:
            raise DataError(f"{path}:{reader.line_num}: image id {row.image_id!r} occurs twice")
        seen.add(row.image_id)
        rows.append(row)
    return rows


def _image_row(fields: list[str], where: str) -> ImageRow:
    if len(fields) != len(IMAGE_COLUMNS):
        raise DataError(f"{where}: expected {len(IMAGE_COLUMNS)} fields, got {len(fields)}")
    record = dict(zip(IMAGE_COLUMNS, fields, strict=True))
    sizes = {}
    for name in ("height", "width"):
        if not record[name].isdecimal():
            raise DataError(f"{where}: {name} should be a whole number, got {record[name]!r}")
        sizes[name] = int(record[name])
    if record["status"] not in STATUS:
        known = ", ".join(STATUS)
        raise DataError(f"{where}: unknown status {record['status']!r}; known: {known}")
    return ImageRow(**{**record, **sizes})
