"""The records of a text file, parsed when they are asked for.

A Python object for each record of a large corpus takes ten times the memory of the file; and
processes that were forked copy each object that they merely look at. Bytes stay shared, and where
they are many they stay on the disk.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

from extract.tables.bytes_on_disk import FileBytes, GrowingBytes

T = TypeVar("T")


def pack(records: Iterable[bytes], parse: Callable[[bytes], T]) -> "LazyTable[T]":
    """Return records given as bytes, one after another.

    Args:
        records: the bytes of each.
        parse: bytes of one record -> the record.
    """
    spool, bounds = GrowingBytes(), array("q", [0])
    for record in records:
        spool.add(record)
        bounds.append(bounds[-1] + len(record))
    return LazyTable(spool.bytes(), np.frombuffer(bounds, np.int64), parse)


def pack_texts(texts: Iterable[str]) -> "LazyTable[str]":
    """Return texts as their UTF-8 bytes, each decoded when it is looked at."""
    return pack((text.encode("utf-8") for text in texts), _decode)


def _decode(data: bytes) -> str:
    return data.decode("utf-8")


class LazyTable(Sequence[T], Generic[T]):
    """Read-only sequence of N records that lie one after another.

    Args:
        data: the records' bytes; what is before the first record is skipped.
        bounds: shape (N+1,), int64: record i is `data[bounds[i]:bounds[i + 1]]`.
        parse: bytes of one record -> the record.
    """

    def __init__(
        self,
        data: bytes | bytearray | FileBytes,
        bounds: np.ndarray,
        parse: Callable[[bytes], T],
    ) -> None:
        self._data, self._bounds, self._parse = data, bounds, parse

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        """Return one record, or a list of those of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        first = index % len(self)
        return self._parse(self._data[self._bounds[first] : self._bounds[first + 1]])

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Equal to every sequence of equal records."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None
