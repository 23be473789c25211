"""A corpus as an audit reads it: what a reader would refuse is set aside and listed, not fatal.

Two things of split files are set aside: a label that is not `O`, `B-` or `I-` with a legal type is
read as `O`, and a tweet without a token is left out. Any other break of the format stops the audit
with the reader's own message.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import ModuleType

from extract.core.errors import DataError, MissingFileError
from extract.core.registry import load_module
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import find_split_file
from extract.tables.images_table import ImageRow, ImageRows, read_images
from extract.tables.samples import SPLITS, Sample, iter_samples, pack_samples
from extract.tables.tags import split_tag

_HEADER = "IMGID:"
_LAST_COLUMN = re.compile(r"[\t ]([^\t \r\n]+)[\t \r]*$")
# Line feeds alone end a line; bytes that are not UTF-8 are kept: the reader names their line.
_AS_IT_IS = {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}


@dataclass(frozen=True)
class SetAside:
    """A label or a tweet that is not read."""

    kind: str
    """`odd_label` or `empty_tweet`."""
    split: str
    where: str
    """`file:line` of split files, else the sample id."""
    value: str
    """The label, or the image id of the tweet."""


@dataclass(frozen=True)
class Corpus:
    """What is audited."""

    folder: Path
    kind: str
    """`split files` or `prepared dataset`."""
    reader: str
    """Name in `extract/corpora/readers/`; empty for a prepared dataset."""
    splits: Mapping[str, Sequence[Sample]]
    images: Mapping[str, ImageRow] | None = None
    """Image id -> line of images.tsv, where there is one."""
    set_aside: list[SetAside] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Splits that the reader knows and the folder does not hold."""


def read_corpus(folder: Path, reader: str, settings: TextSettings) -> Corpus:
    """Read a prepared dataset folder (one with `samples/*.jsonl`) or a folder of split files.

    Args:
        folder: of the corpus.
        reader: name in `extract/corpora/readers/`, for split files in the format of
            `conll_imgid.py`.
        settings: how to read the text; of a prepared dataset only the types count.

    Raises:
        MissingFileError: the folder holds neither, or a file named in the settings is not there.
        DataError: a file breaks its format in a way that cannot be set aside.
    """
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder. Give the folder of the split files.")
    if any(folder.glob("samples/*.jsonl")):
        return _read_prepared(folder, settings)
    return _read_split_files(folder, reader, settings)


def _read_prepared(folder: Path, settings: TextSettings) -> Corpus:
    files = {path.stem: path for path in sorted(folder.glob("samples/*.jsonl"))}
    order = [split for split in SPLITS if split in files]
    order += [split for split in files if split not in SPLITS]
    set_aside: list[SetAside] = []
    splits = {
        split: pack_samples(_legal_samples(split, iter_samples(files[split]), settings, set_aside))
        for split in order
    }
    table = folder / "images.tsv"
    images = ImageRows(read_images(table)) if table.is_file() else None
    return Corpus(folder, "prepared dataset", "", splits, images, set_aside)


def _legal_samples(
    split: str, samples: Iterable[Sample], settings: TextSettings, set_aside: list[SetAside]
) -> Iterator[Sample]:
    """Yield samples with a token each and with legal labels; add the others to `set_aside`."""
    for sample in samples:
        if not sample.tokens:
            set_aside.append(SetAside("empty_tweet", split, sample.id, sample.image_id))
            continue
        odd = [tag for tag in sample.tags or () if not is_legal(tag, settings)]
        if odd:
            set_aside += [SetAside("odd_label", split, sample.id, tag) for tag in odd]
            tags = [tag if is_legal(tag, settings) else "O" for tag in sample.tags]
            sample = replace(sample, tags=tags)
        yield sample


def is_legal(tag: str, settings: TextSettings) -> bool:
    """True for `O` and for `B-` and `I-` with a type of the settings."""
    prefix, entity_type = split_tag(tag)
    known = settings.type_map.get(entity_type, entity_type) in settings.entity_types
    return tag == "O" or (prefix in ("B", "I") and known)


def _read_split_files(folder: Path, reader: str, settings: TextSettings) -> Corpus:
    module = load_module("extract.corpora.readers", reader)
    splits: dict[str, Sequence[Sample]] = {}
    set_aside: list[SetAside] = []
    absent = []
    for split in module.SPLIT_FILES:
        try:
            path = find_split_file(folder, split, settings)
        except MissingFileError:
            if split in settings.files:
                raise
            absent.append(split)
            continue
        splits[split] = _read_split(module, path, split, settings, set_aside)
    if not splits:
        raise MissingFileError(
            f"{folder}: neither samples/*.jsonl nor a split file of the reader '{reader}' "
            f"({', '.join(absent)}). Name the files with --text '{{\"files\": ...}}'."
        )
    return Corpus(folder, "split files", reader, splits, None, set_aside, absent)


def _read_split(
    module: ModuleType,
    path: Path,
    split: str,
    settings: TextSettings,
    set_aside: list[SetAside],
) -> Sequence[Sample]:
    """Return the samples of one file, of a copy of it where something must be set aside."""
    found: list[SetAside] = []
    legal = _legal_lines(path, split, settings, found)
    if not legal:
        return pack_samples(module.iter_samples(path.parent, split, settings))
    set_aside += found
    with tempfile.TemporaryDirectory() as name:
        with (Path(name) / path.name).open("w", **_AS_IT_IS) as copy:
            copy.writelines(legal.get(i, line) for i, line in enumerate(_iter_lines(path)))
        settings = replace(settings, files={split: path.name})
        try:
            return pack_samples(module.iter_samples(Path(name), split, settings))
        except DataError as error:
            raise DataError(str(error).replace(name, str(path.parent))) from error


def _iter_lines(path: Path) -> Iterator[str]:
    """Yield the lines with their ends, without a byte-order mark."""
    with path.open("r", **_AS_IT_IS) as file:
        for number, line in enumerate(file):
            yield line.removeprefix("\ufeff") if number == 0 else line


def _legal_lines(
    path: Path, split: str, settings: TextSettings, found: list[SetAside]
) -> dict[int, str]:
    """Return index -> text of lines without their odd label or empty tweet; list these in `found`.

    A file as large as memory allows has few of them.
    """
    legal: dict[int, str] = {}
    header = None  # index and image id of an `IMGID:` line that has no token yet
    for index, line in enumerate(chain(_iter_lines(path), [_HEADER])):
        if line.startswith(_HEADER):
            if header is not None:
                where = f"{path.name}:{header[0] + 1}"
                found.append(SetAside("empty_tweet", split, where, header[1]))
                legal[header[0]] = "\n"
            header = index, line[len(_HEADER) :].strip()
        elif line.strip("\t \r\n"):
            header = None
            label = _LAST_COLUMN.search(line) if settings.labels else None
            if label and not is_legal(label[1], settings):
                found.append(SetAside("odd_label", split, f"{path.name}:{index + 1}", label[1]))
                legal[index] = line[: label.start(1)] + "O\n"
    return legal
