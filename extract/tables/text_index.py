"""Places of texts in a long list, in a tenth of the memory of a dictionary.

Texts are compared by their 64-bit BLAKE2b digest, held in sorted arrays, and then by themselves.
Arrays, unlike the objects of a dictionary, stay shared between forked processes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from extract.tables.lazy_table import LazyTable, pack_texts

_DIGEST_BYTES = 8


class TextIndex:
    """Where each text of a list stands.

    Args:
        texts: of which each may occur once or more; looked at again whenever one is asked for.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        digests = _digests(texts)
        # shape: (N,), places by ascending digest, equal ones by place
        self._order = np.argsort(digests, kind="stable")
        # shape: (N,)
        self._digests = digests[self._order]

    def __contains__(self, text: str) -> bool:
        return self.find(text) is not None

    def find(self, text: str) -> int | None:
        """Return the first place of a text, None where it does not occur."""
        first = int(np.searchsorted(self._digests, wanted := np.uint64(_digest(text))))
        while first < len(self._order) and self._digests[first] == wanted:
            place = int(self._order[first])
            if self._texts[place] == text:
                return place
            first += 1
        return None

    def first_repeat(self) -> int | None:
        """Return the first place whose text stands at an earlier place too, None if there is none.

        Its time is that of comparing digests: only texts of equal digests are looked at.
        """
        return next(self._repeats(), None)

    def first_places(self) -> np.ndarray:
        """Return the places of texts that stand at no earlier place, ascending, int64."""
        is_first = np.ones(len(self._order), bool)
        is_first[list(self._repeats())] = False
        return np.flatnonzero(is_first)

    def _repeats(self) -> Iterator[int]:
        """Yield the places whose text stands at an earlier place too, ascending."""
        twice = np.flatnonzero(self._digests[1:] == self._digests[:-1]) + 1
        places = np.sort(self._order[twice])
        return (int(p) for p in places if self.find(self._texts[p]) != p)


def distinct(texts: Iterable[str]) -> LazyTable[str]:
    """Return each text once, in the order of first use, without a set of them in memory."""
    found = pack_texts(texts)
    return pack_texts(found[place] for place in TextIndex(found).first_places())


def _digests(texts: Iterable[str]) -> np.ndarray:
    """Return shape (N,), uint64."""
    return np.fromiter(map(_digest, texts), np.uint64)


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest(), "little")
