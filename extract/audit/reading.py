"""A corpus as an audit reads it: what a reader would refuse is set aside and listed, not fatal.

Two things of split files are set aside: a label that is not `O`, `B-` or `I-` with a legal type is
read as `O`, and a tweet without a token is left out. Any other break of the format stops the audit
with the reader's own message.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from extract.datasets.base import TextSettings
from extract.datasets.conll_imgid import find_split_file
from extract.errors import DataError, MissingFileError
from extract.manifest import SPLITS, ImageRow, Sample, read_images, read_samples
from extract.registry import load_module
from extract.tags import split_tag

_HEADER = "IMGID:"
_LAST_COLUMN = re.compile(r"[\t ]([^\t \r]+)[\t \r]*$")


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
    """Name in `extract/datasets/`; empty for a prepared dataset."""
    splits: Mapping[str, list[Sample]]
    images: Mapping[str, ImageRow] | None = None
    """Image id -> line of images.tsv, where there is one."""
    set_aside: list[SetAside] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Splits that the reader knows and the folder does not hold."""


def read_corpus(folder: Path, reader: str, settings: TextSettings) -> Corpus:
    """Read a prepared dataset folder (one with `samples/*.jsonl`) or a folder of split files.

    Args:
        folder: of the corpus.
        reader: name in `extract/datasets/`, for split files in the format of `conll_imgid.py`.
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
        split: list(_legal_samples(split, read_samples(files[split]), settings, set_aside))
        for split in order
    }
    table = folder / "images.tsv"
    images = {row.image_id: row for row in read_images(table)} if table.is_file() else None
    return Corpus(folder, "prepared dataset", "", splits, images, set_aside)


def _legal_samples(
    split: str, samples: list[Sample], settings: TextSettings, set_aside: list[SetAside]
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
    module = load_module("extract.datasets", reader)
    splits: dict[str, list[Sample]] = {}
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
) -> list[Sample]:
    """Return the samples of one file, of a copy of it where something must be set aside."""
    found: list[SetAside] = []
    # Bytes that are not UTF-8 are kept as they are; the reader names their line.
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    text = _legal_text(text, path.name, split, settings, found)
    if not found:
        return list(module.iter_samples(path.parent, split, settings))
    set_aside += found
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / path.name).write_bytes(text.encode("utf-8", errors="surrogateescape"))
        settings = replace(settings, files={split: path.name})
        try:
            return list(module.iter_samples(Path(name), split, settings))
        except DataError as error:
            raise DataError(str(error).replace(name, str(path.parent))) from error


def _legal_text(
    text: str, name: str, split: str, settings: TextSettings, found: list[SetAside]
) -> str:
    """Return the text, line by line, without odd labels and empty tweets; list them in `found`."""
    lines = text.split("\n")
    header = None  # index of an `IMGID:` line that has no token yet
    for index, line in enumerate([*lines, _HEADER]):
        if line.startswith(_HEADER):
            if header is not None:
                image_id = lines[header][len(_HEADER) :].strip()
                found.append(SetAside("empty_tweet", split, f"{name}:{header + 1}", image_id))
                lines[header] = ""
            header = index
        elif line.strip("\t \r"):
            header = None
            label = _LAST_COLUMN.search(line) if settings.labels else None
            if label and not is_legal(label[1], settings):
                found.append(SetAside("odd_label", split, f"{name}:{index + 1}", label[1]))
                lines[index] = line[: label.start(1)] + "O"
    return "\n".join(lines)
