"""The records of a text file, parsed when they are asked for.

A Python object for each record of a large corpus takes ten times the memory of the file; and
processes that were forked copy each object that they merely look at. Bytes stay shared.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

T = TypeVar("T")


class LazyTable(Sequence[T], Generic[T]):
    """Read-only sequence of N records that lie one after another.

    Args:
        data: the records' bytes; what is before the first record is skipped.
        bounds: shape (N+1,), int64: record i is `data[bounds[i]:bounds[i + 1]]`.
        parse: bytes of one record -> the record.
    """

    def __init__(self, data: bytes, bounds: np.ndarray, parse: Callable[[bytes], T]) -> None:
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
