"""Checksums of the content of a split, whatever its file looks like.

What enters, in file order, is one line a tweet: the JSON of `[tokens, tags]` without spaces,
non-ASCII characters escaped, then a line feed. Tokens are as read, character by character; tags
are after the type map of the reader (`B-OTHER` -> `B-MISC`), null for text without labels. Image
ids, blank lines, line ends, tabs or spaces between columns, a byte-order mark and file names do
not enter.

A tweet's digest is 12 hexadecimal digits: 8 of the SHA-256 of its tokens' JSON and 4 of its
tags'. Two tweets are taken as equal when the digests are.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from extract.tables.samples import Sample

TEXT_DIGITS = 8
DIGEST_DIGITS = 12


def fingerprint(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 of a split, in hexadecimal."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(_json([sample.tokens, sample.tags]) + b"\n")
    return digest.hexdigest()


def tweet_digest(sample: Sample) -> str:
    """Return the digest of one tweet, text before labels."""
    text = hashlib.sha256(_json(sample.tokens)).hexdigest()
    labels = hashlib.sha256(_json(sample.tags)).hexdigest()
    return text[:TEXT_DIGITS] + labels[: DIGEST_DIGITS - TEXT_DIGITS]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def n_shared(found: Sequence[str], known: Sequence[str]) -> int:
    """Return how many tweets two splits have in common, wherever they stand."""
    return (Counter(found) & Counter(known)).total()


def n_different(found: Sequence[str], known: Sequence[str]) -> int:
    """Return how many tweets must be changed, added or left out to get from one to the other.

    The order does not count; a changed tweet counts once.
    """
    return max(len(found), len(known)) - n_shared(found, known)


def texts_of(digests: Iterable[str]) -> list[str]:
    """Return the part of the digests that the text alone decides."""
    return [digest[:TEXT_DIGITS] for digest in digests]
