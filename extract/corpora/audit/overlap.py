"""Tweets that stand in two splits: found, and refused above a share.

Two tweets are exact duplicates when their tokens are equal, and near-duplicates when their keys
are. The key joins the tokens with spaces, lower-cases, takes out URLs (`http...` to the next
space), user handles (`@name`, `@ name`) and every character that is no letter, digit, underscore
or space, and joins what is left with single spaces. Where nothing is left (a tweet of a handle
and a URL), the key is the text itself, so only exact duplicates meet. Every exact duplicate is a
near-duplicate.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from extract.core.errors import DataError
from extract.tables.samples import Sample

COMPARED = (("test", "train"), ("test", "valid"), ("valid", "train"))
"""(held-out split, split that is seen before it)."""

MAX_OVERLAP = 0.02
"""Largest share, 0-1, of the tweets of the one in the other, unless somebody says otherwise."""

_URL = re.compile(r"http\S+")
_HANDLE = re.compile(r"@\s*\w+")
_PUNCTUATION = re.compile(r"[^\w\s]")
_SHOWN = 10


def near_key(tokens: Sequence[str]) -> str:
    """Return the text that near-duplicates have in common."""
    text = " ".join(tokens)
    key = _PUNCTUATION.sub("", _HANDLE.sub("", _URL.sub("", text.lower())))
    return " ".join(key.split()) or text


@dataclass(frozen=True)
class Twin:
    """A tweet of a held-out split and its near-duplicates in another."""

    sample: Sample
    others: tuple[Sample, ...]

    @property
    def is_exact(self) -> bool:
        """Whether one of the others has the same tokens."""
        return any(other.tokens == self.sample.tokens for other in self.others)


@dataclass(frozen=True)
class Overlap:
    """The tweets of `split` that also stand in `other`."""

    split: str
    other: str
    of: int
    """Tweets of `split`."""
    twins: tuple[Twin, ...]

    @property
    def share(self) -> float:
        """Share of the tweets of `split`, 0-1."""
        return len(self.twins) / self.of if self.of else 0.0

    @property
    def n_exact(self) -> int:
        """How many are exact duplicates."""
        return sum(twin.is_exact for twin in self.twins)


def near_digests(samples: Iterable[Sample]) -> np.ndarray:
    """Return the digest of each tweet's key: shape (N,), equal for near-duplicates."""
    return text_digests(near_key(sample.tokens) for sample in samples)


def find_overlaps(splits: Mapping[str, Sequence[Sample]]) -> list[Overlap]:
    """Return the overlap of each pair of `COMPARED` that is there."""
    pairs = [pair for pair in COMPARED if splits.keys() >= set(pair)]
    digests = {name: near_digests(splits[name]) for name in {n for pair in pairs for n in pair}}
    return [_find_overlap(split, other, splits, digests) for split, other in pairs]


def _find_overlap(
    split: str,
    other: str,
    splits: Mapping[str, Sequence[Sample]],
    digests: Mapping[str, np.ndarray],
) -> Overlap:
    """Return the tweets of `split` whose near-duplicates stand in `other`."""
    mine, theirs = digests[split], digests[other]
    places: dict[bytes, list[int]] = defaultdict(list)
    for place in np.flatnonzero(np.isin(theirs, mine)).tolist():
        places[theirs[place]].append(place)
    twins = tuple(
        Twin(splits[split][place], tuple(splits[other][i] for i in places[mine[place]]))
        for place in np.flatnonzero(np.isin(mine, theirs)).tolist()
    )
    return Overlap(split, other, len(mine), twins)


def equal_splits(splits: Mapping[str, Sequence[Sample]]) -> list[tuple[str, str]]:
    """Return the pairs of `COMPARED` that hold the same tweets, in whatever order."""
    pairs = [(a, b) for a, b in COMPARED if splits.get(a) and splits.get(b)]
    return [(a, b) for a, b in pairs if _are_equal(splits[a], splits[b])]


def _are_equal(first: Sequence[Sample], second: Sequence[Sample]) -> bool:
    if len(first) != len(second):
        return False
    return np.array_equal(np.sort(token_digests(first)), np.sort(token_digests(second)))


def describe_overlaps(splits: Mapping[str, Sequence[Sample]]) -> list[dict[str, Any]]:
    """Return the overlap of each pair of `COMPARED` as JSON can hold it (keys in `report.py`)."""
    equal = equal_splits(splits)
    return [
        {
            "split": found.split,
            "other": found.other,
            "of": found.of,
            "tweets": len(found.twins),
            "exact": found.n_exact,
            "share": found.share,
            "equal": (found.split, found.other) in equal,
            "twins": {twin.sample.id: [other.id for other in twin.others] for twin in found.twins},
        }
        for found in find_overlaps(splits)
    ]


def refuse_overlap(
    overlaps: Iterable[Mapping[str, Any]], max_share: float, *, listed_in: str = ""
) -> None:
    """Stop where a held-out split is not held out.

    Args:
        overlaps: what `describe_overlaps` returned, with or without `twins`.
        max_share: largest share, 0-1, of the tweets of test in train or valid, and of valid in
            train, that is let pass. Two splits of the same tweets are refused whatever it is.
        listed_in: where all overlapping tweets are listed, for the message.

    Raises:
        DataError: a share is larger, or two splits are equal; the message has the first ten tweets
            of each such pair.
    """
    bad = [found for found in overlaps if found["share"] > max_share or found["equal"]]
    if not bad:
        return
    listed = "\n".join(line for found in bad for line in _lines(found))
    where = f" The whole list: {listed_in}." if listed_in else ""
    raise DataError(
        f"splits overlap, at most {max_share:.2%} is allowed:\n{listed}\n"
        f"Take these tweets out of the split that is learned from, or get another copy.{where}"
    )


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many tweets two splits share, and the first of them."""
    same = ": the same tweets" if found["equal"] else ""
    yield (
        f"{found['tweets']} of {found['of']} tweets of {found['split']} "
        f"({found['share']:.2%}) stand in {found['other']}{same}"
    )
    twins = list(found.get("twins", {}).items())
    for sample_id, others in twins[:_SHOWN]:
        yield f"  {sample_id}: {', '.join(others)}"
    if len(twins) > _SHOWN:
        yield f"  and {len(twins) - _SHOWN} more"


_DIGEST_BYTES = 16
"""BLAKE2b of 128 bits: two different texts never meet in one."""


def text_digests(texts: Iterable[str]) -> np.ndarray:
    """Return the digest of each text: shape (N,), dtype S16; equal where the texts are."""
    data = bytearray()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        data += hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).digest()
    # All are of one length, so it does not matter that S16 ignores zero bytes at the end.
    return np.frombuffer(bytes(data), dtype=f"S{_DIGEST_BYTES}")


def token_digests(samples: Sequence[Sample]) -> np.ndarray:
    """Return digests, shape (N,), that are equal where all tokens are."""
    # Each token with its length before it: their border is part of the text.
    return text_digests("".join(f"{len(t)} {t}" for t in sample.tokens) for sample in samples)
