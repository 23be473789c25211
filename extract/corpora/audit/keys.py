"""Digests of tweets to compare many of them: 16 bytes each, where the texts would fill memory."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from extract.tables.samples import Sample

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
