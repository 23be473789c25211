"""Bytes on disk in place of memory: what grows with the corpus."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from extract.core.system import NamedSystemError, named_system_errors


class FileBytes:
    """The bytes of an open file, of which any piece can be asked for, also by several processes.

    Each read names its place: the position of the file, which forks share, is not used. A piece
    that was read can be read again although another file takes the name of this one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getitem__(self, piece: slice) -> bytes:
        """Return the bytes of a piece with start and stop.

        Raises:
            NamedSystemError: the file ends before the piece does.
        """
        found, position = [], piece.start
        # The system reads less than 2 GiB at a time.
        while position < piece.stop:
            data = os.pread(self._file.fileno(), piece.stop - position, position)
            if not data:
                raise self._cut_off(position, piece.stop)
            found.append(data)
            position += len(data)
        return b"".join(found)

    def _cut_off(self, size: int, expected: int) -> NamedSystemError:
        reason = (
            f"ends after {size} bytes, expected at least {expected}: it was cut off while it was "
            "in use. Run the same command again"
        )
        # A file without a name is known by its number.
        name = self._file.name if isinstance(self._file.name, str) else "a temporary file"
        return NamedSystemError(errno.ENODATA, reason, name)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, once."""
        return iter(self._file)

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        """A process that is no fork gets the bytes themselves."""
        return bytes, (self[0 : os.fstat(self._file.fileno()).st_size],)

    def __del__(self) -> None:
        self._file.close()


class GrowingBytes:
    """Bytes that are added to: in memory while they are few, then in a file without a name.

    Args:
        limit: most bytes in memory.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self._limit = limit
        self._last = bytearray()
        self._file: BinaryIO | None = None

    def add(self, data: bytes) -> None:
        """Add bytes at the end.

        Raises:
            NamedSystemError: the folder for temporary files (TMPDIR) is full, or there is none.
        """
        self._last += data
        if len(self._last) > self._limit:
            self._write()

    def bytes(self) -> "bytearray | FileBytes":
        """Return what was added; nothing more may be."""
        if self._file is None:
            return self._last
        self._write()
        return FileBytes(self._file)

    def _write(self) -> None:
        try:
            with named_system_errors(Path(tempfile.gettempdir())):
                self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
                self._file.write(self._last)
                self._file.flush()
        except (FileNotFoundError, NotADirectoryError) as error:
            # Else a caller takes it for an error of the file that it reads.
            reason = f"{error.strerror}; set it to a folder that can be written to and has room"
            raise NamedSystemError(error.errno, reason, "TMPDIR") from error
        self._last.clear()
