"""The copies of the corpora that are in circulation, as two tables beside this file.

`known_copies.json` lists each copy: `name`, `title`, `source` (where what is known comes from)
and, per split, counts named as in `labels.count_split`; where the text was at hand also `sha256`
(see `fingerprint.py`). `known_tweets.json` holds the tweet digests of these copies, in file order,
ten a string.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from extract.corpora.audit.fingerprint import DIGEST_DIGITS

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class KnownCopy:
    """A copy of a corpus, or what is known of it."""

    name: str
    title: str
    source: str
    splits: Mapping[str, Mapping[str, Any]]
    """Split -> counts and, where the text was at hand, `sha256`."""
    digests: Mapping[str, tuple[str, ...]]
    """Split -> tweet digests in file order; empty where the text was not at hand."""


@cache
def known_copies() -> tuple[KnownCopy, ...]:
    """Read the tables."""
    copies = json.loads((_FOLDER / "known_copies.json").read_text(encoding="ascii"))
    tweets = json.loads((_FOLDER / "known_tweets.json").read_text(encoding="ascii"))
    return tuple(
        KnownCopy(**copy, digests={s: _cut(lines) for s, lines in tweets.get(name, {}).items()})
        for copy in copies
        for name in [copy["name"]]
    )


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    text = "".join(lines)
    return tuple(text[i : i + DIGEST_DIGITS] for i in range(0, len(text), DIGEST_DIGITS))
