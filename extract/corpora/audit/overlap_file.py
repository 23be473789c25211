"""overlap.json: what the splits of one corpus share, how much may be, and which corpus it is.

One JSON object, without the tweets themselves:

- `max_overlap`: the largest share, 0-1, that is let pass
- `fingerprints`: split -> SHA-256 of its tokens and tags, see `fingerprint.py`
- `overlap`: each pair of `overlap.COMPARED` whose splits have a fingerprint, as the audit holds it
  (`report.py`), without `twins`

Prepared samples (`samples/{split}.jsonl`) have the fingerprints of the split files that they were
read from: both are read by the same reader, which refuses what the audit sets aside.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError
from extract.core.files import write_json
from extract.corpora.audit.overlap import COMPARED

VERSION = 2
"""Of the content; a file of another version is made again."""

_KEYS: dict[str, tuple[type, ...]] = {
    "split": (str,),
    "other": (str,),
    "of": (int,),
    "tweets": (int,),
    "share": (int, float),
    "equal": (bool,),
}


@dataclass(frozen=True)
class Comparison:
    """The compared splits of one corpus."""

    fingerprints: Mapping[str, str]
    """Split -> SHA-256, see `fingerprint.py`."""
    pairs: Sequence[Mapping[str, Any]]
    """See `overlap.describe_overlaps`; read from overlap.json they have no `twins`."""


def read_audit(path: Path) -> Comparison:
    """Read the comparison out of an audit.

    Raises:
        DataError: the file is not what `python -m extract audit DIR --json` prints.
        MissingFileError: there is no such file.
    """
    maker = "`python -m extract audit DIR --json`"
    report = _read_object(path, maker)
    identity = report.get("identity")
    prints = identity.get("fingerprints") if isinstance(identity, dict) else None
    return _checked(path, maker, prints, report.get("overlap"), {**_KEYS, "twins": (dict,)})


def write_overlap(path: Path, found: Comparison, max_share: float) -> None:
    """Write overlap.json; see the head of this file."""
    pairs = [{key: pair[key] for key in pair if key != "twins"} for pair in found.pairs]
    content = {"max_overlap": max_share, "fingerprints": found.fingerprints, "overlap": pairs}
    write_json(path, content)


def read_overlap(path: Path) -> tuple[Comparison, float]:
    """Return what overlap.json holds: the comparison, and the share that is let pass.

    Raises:
        DataError: the file is not what `python -m extract check-overlap` writes.
        MissingFileError: there is no such file.
    """
    maker = "`python -m extract check-overlap`"
    content = _read_object(path, maker)
    max_share = content.get("max_overlap")
    if not _is_share(max_share):
        raise _unexpected(path, maker, "max_overlap", "a share, 0-1", max_share)
    found = _checked(path, maker, content.get("fingerprints"), content.get("overlap"), _KEYS)
    return found, max_share


def _read_object(path: Path, maker: str) -> dict[str, Any]:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. {maker} makes it.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of bytes that are not UTF-8
        raise DataError(f"{path}: not JSON ({error}). {maker} makes this file.") from error
    if not isinstance(content, dict):
        raise _unexpected(path, maker, "", "an object", content)
    return content


def _checked(
    path: Path, maker: str, prints: Any, pairs: Any, keys: Mapping[str, tuple[type, ...]]
) -> Comparison:
    """Return the comparison, once it holds every pair that it must and every key of each."""
    is_object = isinstance(prints, dict) and all(isinstance(v, str) for v in prints.values())
    if not is_object or not {"train", "valid"} <= prints.keys():
        expected = "one for each split, train and valid among them"
        raise _unexpected(path, maker, "fingerprints", expected, prints)
    if not isinstance(pairs, list):
        raise _unexpected(path, maker, "overlap", "a list", pairs)
    for number, pair in enumerate(pairs):
        _check_pair(path, maker, f"overlap[{number}]", pair, keys)
    expected = [pair for pair in COMPARED if prints.keys() >= set(pair)]
    found = [(pair["split"], pair["other"]) for pair in pairs]
    if found != expected:
        raise _unexpected(path, maker, "overlap", f"the pairs {expected}", found)
    return Comparison(prints, pairs)


def _check_pair(
    path: Path, maker: str, place: str, pair: Any, keys: Mapping[str, tuple[type, ...]]
) -> None:
    if not isinstance(pair, dict):
        raise _unexpected(path, maker, place, "an object", pair)
    for key, types in keys.items():
        if not isinstance(pair.get(key), types):
            names = " or ".join(kind.__name__ for kind in types)
            raise _unexpected(path, maker, f"{place}.{key}", names, pair.get(key))
    if not _is_share(pair["share"]):
        raise _unexpected(path, maker, f"{place}.share", "a share, 0-1", pair["share"])


def _is_share(value: Any) -> bool:
    # Also False for NaN, which compares with nothing.
    return isinstance(value, (int, float)) and 0 <= value <= 1


def _unexpected(path: Path, maker: str, place: str, expected: str, got: Any) -> DataError:
    where = f"{path}: {place}" if place else str(path)
    return DataError(f"{where}: expected {expected}, got {got!r:.80}. {maker} makes this file.")
