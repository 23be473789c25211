"""`samples/{split}.jsonl`: one text a line, with its image id and its tags."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import DataError
from extract.core.files import atomic_path
from extract.tables.lazy_table import LazyTable, pack
from extract.tables.text_lines import iter_jsonl

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
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
    """Tags after label corrections (extract/corpora/repairs/); None where these change nothing."""

    @property
    def gold_after_repairs(self) -> list[str] | None:
        """The corrected tags where there are such, else the original ones."""
        return self.tags if self.repaired_tags is None else self.repaired_tags


SAMPLE_FIELDS = tuple(Sample.__dataclass_fields__)


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write one JSON object a line, leaving out absent fields; return their number."""
    count = 0
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(_sample_line(sample))
            count += 1
    return count


def _sample_line(sample: Sample) -> str:
    values = ((name, getattr(sample, name)) for name in SAMPLE_FIELDS)
    record = {name: value for name, value in values if value is not None}
    return json.dumps(record, ensure_ascii=False) + "\n"


def pack_samples(samples: Iterable[Sample]) -> LazyTable[Sample]:
    """Return the samples as the bytes of their file, each to be parsed when it is looked at."""
    return pack((_sample_line(sample).encode("utf-8") for sample in samples), _parse_sample)


def _parse_sample(line: bytes) -> Sample:
    return Sample(**json.loads(line.decode("utf-8")))


def read_samples(path: Path) -> list[Sample]:
    """Read `samples/{split}.jsonl`; see `iter_samples`."""
    return list(iter_samples(path))


def iter_samples(path: Path) -> Iterator[Sample]:
    """Yield the samples of `samples/{split}.jsonl`.

    Raises:
        DataError: a field is missing, unknown or of another type, or tags and tokens differ in
            number.
    """
    for number, record in iter_jsonl(path):
        try:
            sample = Sample(**record)
        except TypeError as error:
            message = str(error).removeprefix("Sample.__init__() ")
            raise DataError(f"{path}:{number}: {message}") from error
        _check_types(sample, f"{path}:{number}")
        for name in ("tags", "repaired_tags"):
            tags = getattr(sample, name)
            if tags is not None and len(tags) != len(sample.tokens):
                raise DataError(
                    f"{path}:{number}: {len(sample.tokens)} tokens but {len(tags)} {name}"
                )
            if tags is not None:
                tags[:] = map(sys.intern, tags)
        # A word that comes again is the same object: most of a corpus's words do.
        sample.tokens[:] = map(sys.intern, sample.tokens)
        yield sample


def _check_types(sample: Sample, where: str) -> None:
    """Refuse a field that is not the text, or the list of texts, that it should be."""
    for name in ("id", "image_id", "evidence"):
        value = getattr(sample, name)
        if not isinstance(value, str) and (name != "evidence" or value is not None):
            raise DataError(f"{where}: {name} should be a string, got {value!r:.40}")
    for name in ("tokens", "tags", "repaired_tags"):
        value = getattr(sample, name)
        if value is None and name != "tokens":
            continue
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise DataError(f"{where}: {name} should be a list of strings, got {value!r:.40}")
