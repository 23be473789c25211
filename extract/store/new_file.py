"""Writing HDF5 to a disk that may be full.

The HDF5 library does not survive a write that fails: it keeps the file open, tries again whenever
an object is freed, and crashes at the end of the process. It is therefore given a file whose writes
never fail: what the system refuses is kept in memory, and raised once the library has closed it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from extract.core.files import atomic_path
from extract.store.allowed_content import row_extents
from extract.store.seal import write_seal


class _DelayedErrors(io.FileIO):
    """A file that remembers the first error of writing, and what was to be written after it.

    The library reads back what it has written: it must find it, or it crashes on what it finds.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None
        self._unwritten: list[tuple[int, bytes]] = []

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write all of it, or remember it and why not."""
        rest, position = memoryview(data).cast("B"), self.tell()
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        if rest:
            self._unwritten.append((position + size - len(rest), bytes(rest)))
        self.seek(position + size)
        return size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what was written, on the disk or not."""
        if not self._unwritten:
            return super().readinto(buffer) or 0
        view, start = memoryview(buffer).cast("B"), self.tell()
        stop = start + len(view)
        n_read = super().readinto(view) or 0
        view[n_read:] = bytes(len(view) - n_read)
        for position, data in self._unwritten:
            first, last = max(start, position), min(stop, position + len(data))
            if first < last:
                view[first - start : last - start] = data[first - position : last - position]
        self.seek(stop)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or remember why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


class NewFile(h5py.File):
    """A feature file under construction; see `new_file`."""

    def __init__(self, sink: _DelayedErrors) -> None:
        self._sink = sink
        super().__init__(sink, "w")

    def check(self) -> None:
        """Stop early where something could not be written.

        Raises:
            OSError: what the system said.
        """
        if self._sink.error is not None:
            raise self._sink.error


@contextmanager
def new_file(target: Path) -> Iterator[NewFile]:
    """Yield an empty HDF5 file that becomes `target`, sealed, whole or not at all.

    Raises:
        OSError: the file could not be written; it names the target.
    """
    with atomic_path(target) as tmp, _DelayedErrors(tmp) as sink:
        try:
            with NewFile(sink) as file:
                yield file
                extents = row_extents(file)
            if sink.error is None:
                write_seal(sink, extents)
        except Exception:
            # What could not be written cannot be read back either: the first error is the cause.
            if sink.error is None:
                raise
        if sink.error is not None:
            raise sink.error
