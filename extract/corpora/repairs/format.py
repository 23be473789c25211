"""Label corrections of a corpus as a diff: the format `mner-repairs`, version 1.0.

A repair file says which tags of a corpus are to be read otherwise. It holds positions, tags and
checksums, and no text: it is of use only to who has the corpus, and it is never a copy of it.

- The file MUST be UTF-8 JSON lines: the header, then one correction a line, no blank line.
- The header MUST have `format` ("mner-repairs"), `version` ("1.0"), `dataset` (a name for people),
  `reader` (file in extract/corpora/readers/ that the corpus was read with), `description` (what the
  corrections are) and `splits`: split -> `tweets` (number) and `fingerprint`, the SHA-256 of
  extract/corpora/audit/fingerprint.py over tokens and original tags. A corpus with another
  fingerprint MUST be refused. A split of the header MAY be absent from what is read; its
  corrections are then left out. A reader MUST refuse another version.
- The header MAY have `undecided`: groups of tweets whose labels conflict and for which no rule
  decides. Each has `note` and `tweets`: list of `split`, `position`, `image_id`, and `entities`,
  the conflicting ones as [type, first token, last token + 1] with orphans repaired. They change
  nothing; who decides one writes a correction with the reason `manual`.
- A correction MUST have `split`, `position` (of the tweet in its split, 0-based), `image_id`,
  `text` (the first 8 hexadecimal digits of the SHA-256 of the tweet's tokens, see fingerprint.py),
  `start` and `end` (first token, last token + 1), `before` and `after` (the tags of these tokens in
  the corpus and as corrected, after the reader's type map) and `reason`; it MAY have `note`.
- `reason` MUST be one of `REASONS`. `before` and `after` MUST differ, and have `end - start` tags,
  each `O`, `B-TYPE` or `I-TYPE`.
- Two corrections MUST NOT share a token. Their order decides nothing.
- A key that is not named here MUST be refused.
- Applied to its tweet, every correction MUST find this image id, this text and these tags. Once
  all are applied, an `I-` in a corrected span or right after it MUST NOT be an orphan (one that
  continues no entity of its type). What was wrong elsewhere in the tweet stays.
- `before` is compared with the original tags, which stay beside the corrected ones (`tags` and
  `repaired_tags` of a sample): applying a file twice gives what applying it once gives.

What applies it is `apply.py`; what writes one from a corpus is `propose.py`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from extract.core.errors import ConfigError, DataError, near_match
from extract.core.files import write_text
from extract.core.options import options_from
from extract.tables.text_lines import iter_jsonl

FORMAT = "mner-repairs"
VERSION = "1.0"
SUFFIX = ".jsonl"

Reason = Literal[
    "split_abbreviation", "orphan_inside", "type_switch", "conflicting_duplicate", "manual"
]
REASONS: tuple[str, ...] = get_args(Reason)
"""The first three: orphans.py; `conflicting_duplicate`: majority.py; `manual`: a person's."""

_TAG = re.compile(r"O|[BI]-\S+")
_SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Correction:
    """One line: other tags for a few tokens of one tweet."""

    split: str
    position: int
    image_id: str
    text: str
    start: int
    end: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    reason: Reason
    note: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked without the corpus."""
        if not 0 <= self.start < self.end:
            raise ValueError(f"expected 0 <= start < end, got [{self.start}, {self.end})")
        n_tokens = self.end - self.start
        for name in ("before", "after"):
            tags = getattr(self, name)
            if len(tags) != n_tokens:
                raise ValueError(f"{name}: expected {n_tokens} tags (end - start), got {len(tags)}")
            odd = [tag for tag in tags if not _TAG.fullmatch(tag)]
            if odd:
                raise ValueError(f"{name}: expected O, B-TYPE or I-TYPE, got {odd[0]!r}")
        if self.before == self.after:
            raise ValueError("before and after are the same tags; leave the line out")

    @property
    def tweet(self) -> tuple[str, int]:
        """(split, position): which tweet it corrects."""
        return self.split, self.position


@dataclass(frozen=True)
class SplitIdentity:
    """Which split a file was made for."""

    tweets: int
    fingerprint: str


@dataclass(frozen=True)
class Labelling:
    """One tweet of an undecided group and its entities that the others have not."""

    split: str
    position: int
    image_id: str
    entities: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Undecided:
    """Tweets of one text with conflicting labels, left to a person."""

    tweets: tuple[Labelling, ...]
    note: str = ""


@dataclass(frozen=True)
class Header:
    """The first line."""

    dataset: str
    reader: str
    description: str
    splits: dict[str, SplitIdentity]
    undecided: tuple[Undecided, ...] = ()
    format: Literal["mner-repairs"] = FORMAT
    version: Literal["1.0"] = VERSION


@dataclass(frozen=True)
class Repairs:
    """A repair file as read or proposed."""

    header: Header
    corrections: tuple[Correction, ...]
    path: Path = field(default=Path("proposed"), compare=False)

    def placed(self) -> Iterator[tuple[str, Correction]]:
        """Yield (`file:line`, correction)."""
        for number, correction in enumerate(self.corrections, start=2):
            yield f"{self.path}:{number}", correction


def repairs_file(name: str) -> Path:
    """Return the file that a config's `repairs` names: a shipped one by name, or a path.

    Raises:
        ConfigError: neither; the message lists the shipped names.
    """
    if name.endswith(SUFFIX) or "/" in name:
        return Path(name)
    shipped = {path.stem: path for path in sorted(_SHIPPED.glob(f"*{SUFFIX}"))}
    if name not in shipped:
        raise ConfigError(
            f"repairs: no '{name}' is shipped; known: {', '.join(shipped)}."
            f"{near_match(name, shipped)} A file of yours is named by its path (*{SUFFIX})."
        )
    return shipped[name]


def read_repairs(path: Path) -> Repairs:
    """Read a repair file and check all that needs no corpus.

    Raises:
        MissingFileError: no such file.
        DataError: a line breaks the format, or two corrections overlap; the message names file
            and line.
    """
    lines = iter_jsonl(path)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: empty; expected the header of {FORMAT} {VERSION} on line 1")
    header = _header(first[1], f"{path}:1")
    corrections = []
    for number, record in lines:
        correction = _built(Correction, record, f"{path}:{number}")
        _check_place(correction, header, f"{path}:{number}")
        corrections.append(correction)
    repairs = Repairs(header, tuple(corrections), path)
    _refuse_shared_tokens(repairs)
    return repairs


def _header(record: dict, where: str) -> Header:
    found = (record.get("format"), record.get("version"))
    if found != (FORMAT, VERSION):
        raise DataError(
            f"{where}: expected the header of format '{FORMAT}', version '{VERSION}', got format "
            f"{found[0]!r}, version {found[1]!r}"
        )
    return _built(Header, record, where)


def _built(cls: type, record: dict, where: str) -> Any:
    try:
        return options_from(cls, record, where)
    except ConfigError as error:
        raise DataError(str(error)) from error


def _check_place(correction: Correction, header: Header, where: str) -> None:
    split = header.splits.get(correction.split)
    if split is None:
        raise DataError(
            f"{where}: split '{correction.split}' is not in the header; it has "
            f"{', '.join(header.splits) or 'none'}.{near_match(correction.split, header.splits)}"
        )
    if not 0 <= correction.position < split.tweets:
        raise DataError(
            f"{where}: no tweet {correction.position} in {correction.split}, which has "
            f"{split.tweets} (positions count from 0)"
        )


def _refuse_shared_tokens(repairs: Repairs) -> None:
    owner: dict[tuple[str, int, int], str] = {}
    for where, correction in repairs.placed():
        for token in range(correction.start, correction.end):
            other = owner.setdefault((*correction.tweet, token), where)
            if other != where:
                raise DataError(
                    f"{where}: overlaps with the correction of {other}: both change token {token} "
                    f"of {correction.split} tweet {correction.position}. Join them into one line."
                )


def write_repairs(path: Path, repairs: Repairs) -> None:
    """Write a repair file; equal content gives equal bytes."""
    header = asdict(repairs.header)
    order = ("format", "version", "dataset", "reader", "description", "splits", "undecided")
    lines = [{key: header[key] for key in order}]
    for correction in repairs.corrections:
        record = asdict(correction)
        if not correction.note:
            del record["note"]
        lines.append(record)
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
