"""CoNLL text with `IMGID:` lines, as Twitter-2015, Twitter-2017 and SNAP are distributed.

A sample is `IMGID:<id>`, then one `token<TAB>tag` a line; a blank line, the next `IMGID:` or the
end of the file closes it. Only tab and space separate columns: a token may be a no-break space (it
is, once, in Twitter-2015). Image ids are strings: `17_06_12483` and `O_3993` are no numbers.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from extract.core.errors import DataError, MissingFileError, near_match
from extract.corpora.readers.base import TextSettings
from extract.tables.samples import Sample
from extract.tables.tags import split_tag
from extract.tables.text_lines import iter_text_lines

CITATION = ""
LICENCE = ""
EXPECTED: dict[str, dict[str, int]] = {}
SPLIT_FILES = {
    "train": ("train.txt",),
    "valid": ("valid.txt", "dev.txt", "val.txt"),
    "test": ("test.txt",),
}
_HEADER = "IMGID:"
_COLUMN_GAP = re.compile(r"[\t ]+")
# In the middle of a text, where files with byte order marks were put together.
_JOINED_HEADER = "\ufeff" + _HEADER

MAX_ID_LENGTH = 1000
"""Characters of an image id; no file system has names of more than 255."""


def find_split_file(root: Path, split: str, settings: TextSettings) -> Path:
    """Return the file of a split.

    Raises:
        MissingFileError: none of the usual names is in `root`.
    """
    names = SPLIT_FILES.get(split, (f"{split}.txt",))
    if split in settings.files:
        names = (settings.files[split],)
    for name in names:
        if (root / name).is_file():
            return root / name
    raise MissingFileError(
        f"{root}: no file for split '{split}' (tried {', '.join(names)}). "
        "data/README.md says how to obtain each corpus and where its files go."
    )


def iter_samples(root: Path, split: str, settings: TextSettings) -> Iterator[Sample]:
    """Yield the samples of a split in file order, with ids `<split>-00000`, `<split>-00001`, ...

    Raises:
        DataError: a line breaks the format, or there is no sample; the message names file and line.
    """
    path = find_split_file(Path(root), split, settings)
    image_id, header_line, tokens, tags = None, 0, [], []
    count = 0

    def close_sample() -> Sample:
        if not tokens:
            raise DataError(f"{path}:{header_line}: '{_HEADER}{image_id}' has no token line")
        gold = list(tags) if settings.labels else None
        return Sample(f"{split}-{count:05d}", image_id, list(tokens), gold)

    for number, line in iter_text_lines(path):
        line = line[1:] if line.startswith(_JOINED_HEADER) else line
        if line.startswith(_HEADER):
            if image_id is not None:
                yield close_sample()
                count += 1
            image_id, header_line, tokens, tags = _image_id(line, path, number), number, [], []
        elif not line.strip("\t "):
            if image_id is not None and tokens:
                yield close_sample()
                count += 1
                image_id = None
        elif image_id is None:
            raise DataError(
                f"{path}:{number}: expected '{_HEADER}<image id>' before the first token of a "
                f"sample, got {line[:40]!r}"
            )
        else:
            token, tag = _split_line(line, path, number, settings)
            # A word that comes again is the same object: most of a corpus's words do.
            tokens.append(sys.intern(token))
            tags.append(sys.intern(tag))
    if image_id is not None:
        yield close_sample()
    elif not count:
        raise DataError(f"{path}: holds no sample. Was it downloaded whole?")


def _image_id(line: str, path: Path, number: int) -> str:
    image_id = line[len(_HEADER) :].strip()
    if not image_id:
        raise DataError(f"{path}:{number}: '{_HEADER}' without an image id")
    if len(image_id) > MAX_ID_LENGTH:
        raise DataError(
            f"{path}:{number}: an image id of {len(image_id)} characters, at most {MAX_ID_LENGTH} "
            f"are allowed: {image_id[:40]!r}..."
        )
    return image_id


def _split_line(line: str, path: Path, number: int, settings: TextSettings) -> tuple[str, str]:
    """Return (token, tag) of `token<TAB>tag`, or (token, "") when there are no labels."""
    line = line.strip("\t ")
    # A line may be long: only as many columns are cut as can be legal, and one more.
    columns = _COLUMN_GAP.split(line, maxsplit=2)
    if not settings.labels:
        if len(columns) > 2:
            raise DataError(
                f"{path}:{number}: expected one token a line, got {_count(line)} columns: "
                f"{line[:60]!r}. Split the tweet into tokens, one on each line."
            )
        return columns[0], ""
    if len(columns) == 1:
        raise DataError(
            f"{path}:{number}: expected 'token<TAB>tag', got one column {columns[0][:40]!r}. "
            "For text without tags set `labels: false`."
        )
    if len(columns) > 2:
        raise DataError(f"{path}:{number}: expected 2 columns, got {_count(line)}: {line[:60]!r}")
    return columns[0], _legal_tag(columns[1], path, number, settings)


def _count(line: str) -> int:
    """Return the number of columns."""
    return 1 + sum(1 for _ in _COLUMN_GAP.finditer(line))


def _legal_tag(tag: str, path: Path, number: int, settings: TextSettings) -> str:
    if tag == "O":
        return tag
    prefix, entity_type = split_tag(tag)
    entity_type = settings.type_map.get(entity_type, entity_type)
    if prefix in ("B", "I") and entity_type in settings.entity_types:
        return f"{prefix}-{entity_type}"
    legal = ["O", *(f"{p}-{name}" for name in settings.entity_types for p in "BI")]
    raise DataError(
        f"{path}:{number}: tag '{tag:.60}' is not in the tag set "
        f"{{{', '.join(settings.entity_types)}}}.{near_match(tag[:60], legal)}"
    )
