"""The copies of the corpora that are in circulation, as two tables beside this file.

`known_copies.json` lists each copy: `name`, `title`, `source` (where what is known comes from)
and, per split, counts named as in `labels.count_split`; where the text was at hand also `sha256`
(see `fingerprint.py`). `known_tweets.json` holds the tweet digests of these copies, in file order,
ten a string. `copy_tables` computes both parts, for a new copy.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from extract.corpora.audit.fingerprint import DIGEST_DIGITS, fingerprint, tweet_digest
from extract.corpora.audit.labels import count_split
from extract.tables.samples import Sample

_FOLDER = Path(__file__).parent
_COUNTED = ("tweets", "tokens", "entities", "b_tags_by_type")
_A_LINE = 10 * DIGEST_DIGITS


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


def copy_tables(
    splits: Mapping[str, Sequence[Sample]],
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return the `splits` of an entry of `known_copies.json` and the one of `known_tweets.json`."""
    entries, digests = {}, {}
    for split, samples in splits.items():
        counts = count_split(samples)
        entries[split] = {key: counts[key] for key in _COUNTED if key in counts}
        entries[split]["sha256"] = fingerprint(samples)
        text = "".join(map(tweet_digest, samples))
        digests[split] = [text[i : i + _A_LINE] for i in range(0, len(text), _A_LINE)]
    return entries, digests
