"""What every layout offers: a corpus of ours -> the folder that another project reads unmodified.

One layout = one file of this folder with `HELP`, `NEEDS` and `TAKES` (names of `Corpus` fields and
store roles without which, or with which, it works), maybe `NAMES` (all that the project can call a
corpus), a frozen dataclass `Options` and `export(corpus, out, options) -> counts`, where
counts go into `EXPORT.json`. Paths under `out` are those from the project's working directory. A
layout with crop dictionaries also has `places(name)`, where `import` looks for them.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import DataError
from extract.crops.plan import Crop
from extract.interop.exports import Link
from extract.tables.caption_lists import strip_image_suffix
from extract.tables.images_table import ImageRow
from extract.tables.samples import Sample
from extract.tables.tags import split_tag

if TYPE_CHECKING:
    from extract.store import FeatureStore

VERSION = 1
"""Of all layouts; raise it when a folder's content changes."""

_HEADER = "IMGID:"
_LONGEST_NAME_BYTES = 200


@dataclass(frozen=True)
class CropFolder:
    """A folder of crops with its `crops.jsonl`."""

    path: Path
    crops: Sequence[Crop]
    """Lines of `crops.jsonl`."""


@dataclass(frozen=True)
class Corpus:
    """Everything that a layout may write."""

    name: str
    """As the project's file names have it, e.g. `twitter2015`."""
    samples: Mapping[str, Sequence[Sample]]
    """Split (`train`, `valid`, `test`) -> samples in order."""
    images: Mapping[str, ImageRow]
    """Image id -> its line of images.tsv; every sample's image has one."""
    crops: CropFolder | None = None
    """Crops of the noun phrases (visual grounding)."""
    detector_crops: CropFolder | None = None
    """Crops of a closed-vocabulary detector."""
    stores: Mapping[str, "FeatureStore"] = field(default_factory=dict)
    """Role (`captions`, `objects`, `ocr`, ...) -> open store."""
    link: Link = "copy"
    """How images and crops get into the export."""

    @property
    def image_ids(self) -> list[str]:
        """The images of all samples, each once, in order of first use."""
        return list(dict.fromkeys(s.image_id for split in self.samples.values() for s in split))


def file_ids(image_ids: Iterable[str], project: str) -> dict[str, str]:
    """Return image id -> the id that a project which looks for `<id>.jpg` must be told.

    Args:
        image_ids: with or without image extension.
        project: its name, for messages.

    Raises:
        DataError: an id is no safe file name, or two ids are one file name (on a file system that
            ignores case or Unicode form, too).
    """
    names: dict[str, str] = {}
    owner: dict[str, str] = {}
    for image_id in image_ids:
        name = strip_image_suffix(image_id)
        problem = _name_problem(name)
        if problem:
            raise DataError(
                f"image id {image_id!r} {problem}, so {project} cannot find '{name}.jpg'. Rename "
                "the image in the corpus."
            )
        folded = unicodedata.normalize("NFC", name).casefold()
        if owner.setdefault(folded, image_id) != image_id:
            raise DataError(
                f"image ids {owner[folded]!r} and {image_id!r} are one file '{name}.jpg' for "
                f"{project} (file systems may ignore case and Unicode form). Rename one."
            )
        names[image_id] = name
    return names


def _name_problem(name: str) -> str:
    """Say why a name cannot be a file's and an `IMGID:` line's, or nothing."""
    if not name or name != name.strip():
        return "is empty or begins or ends with white space"
    if name.startswith("."):
        return "begins with a dot"
    bad = sorted(c for c in set(name) if c in "/\\" or unicodedata.category(c) in ("Cc", "Cs"))
    if bad:
        return f"holds {bad[0]!r}"
    if _HEADER in name:
        return f"holds '{_HEADER}'"
    if len(name.encode("utf-8")) > _LONGEST_NAME_BYTES:
        return f"is longer than {_LONGEST_NAME_BYTES} bytes"
    return ""


def imgid_text(samples: Iterable[Sample], names: Mapping[str, str]) -> str:
    """Return CoNLL text with `IMGID:` lines: token, TAB, tag; a blank line ends each sample.

    The last sample, too: readers of the field drop a sample that no blank line follows, and cut
    the last character of a tag, taking it for the line end.

    Args:
        samples: of one split; where a sample has no tags, each token gets `O`.
        names: image id -> id to write, of `file_ids`.

    Raises:
        DataError: a token cannot stand in such a file.
    """
    blocks = []
    for sample in samples:
        check_tokens(sample)
        tags = project_tags(sample, {})
        lines = [f"{token}\t{tag}\n" for token, tag in zip(sample.tokens, tags, strict=True)]
        blocks.append(f"{_HEADER}{names[sample.image_id]}\n{''.join(lines)}\n")
    return "".join(blocks)


def check_tokens(sample: Sample) -> None:
    """Refuse tokens that would be read as something else in a file of tabs and lines.

    Raises:
        DataError: the message names the sample and the token.
    """
    for token in sample.tokens:
        if any(c in token for c in "\t\n\r") or token.startswith(_HEADER):
            raise DataError(
                f"sample {sample.id!r}: token {token!r} holds a tab or line end, or begins with "
                f"'{_HEADER}', and cannot be written. Correct it in the corpus."
            )


def project_tags(sample: Sample, type_names: Mapping[str, str]) -> list[str]:
    """Return a sample's tags with the project's entity types; all `O` where it has none."""
    if sample.tags is None:
        return ["O"] * len(sample.tokens)
    tags = []
    for tag in sample.tags:
        prefix, entity_type = split_tag(tag)
        tags.append(f"{prefix}-{type_names.get(entity_type, entity_type)}" if entity_type else tag)
    return tags


def count_unlabelled(corpus: Corpus) -> int:
    """Return the number of samples without tags, whose tokens are all exported as `O`."""
    return sum(sample.tags is None for split in corpus.samples.values() for sample in split)
