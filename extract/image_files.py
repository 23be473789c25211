"""Read the bytes of an image file: of an ordinary file alone, all at once, up to a limit."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from extract.errors import MnerError

_CHUNK = 2**20
# Where the system has them: never wait for the other end of a pipe.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class UnreadableImage(MnerError):
    """An image file cannot be decoded; the message is the reason, without the file's name."""


def read_image_file(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Return the bytes of an image file.

    Raises:
        UnreadableImage: there is none, it is a folder, a pipe or a device, it may not be read, is
            empty, or larger than `max_bytes`.
    """
    data = bytearray()
    for chunk in _iter_chunks(path, max_bytes):
        data += chunk
    return bytes(data)


def image_file_sha256(path: Path, *, max_bytes: int | None = None) -> str:
    """Return the hexadecimal sha256 of an image file, never holding it in memory as a whole.

    Raises:
        UnreadableImage: as `read_image_file`.
    """
    total = hashlib.sha256()
    for chunk in _iter_chunks(path, max_bytes):
        total.update(chunk)
    return total.hexdigest()


def _iter_chunks(path: Path, max_bytes: int | None) -> Iterator[bytes]:
    """Yield a file in pieces of at most 1 MiB; it may grow over the limit while it is read."""
    length = 0
    with open(_open(path, max_bytes), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while chunk := file.read(min(size + 1, _CHUNK)):
            length += len(chunk)
            _refuse_size(length, max_bytes)
            yield chunk


def _open(path: Path, max_bytes: int | None) -> int:
    """Return a descriptor of an ordinary file that is neither empty nor too large."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadableImage("no such file") from error
    except PermissionError as error:
        raise UnreadableImage("no permission to read the file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableImage(f"the file cannot be opened: {reason}") from error
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UnreadableImage("not a file, but a folder, pipe or device")
        _refuse_size(state.st_size, max_bytes)
    except UnreadableImage:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_size(n_bytes: int, max_bytes: int | None) -> None:
    if n_bytes == 0:
        raise UnreadableImage("empty file")
    if max_bytes is not None and n_bytes > max_bytes:
        raise UnreadableImage(f"the file is over the limit of {max_bytes // 2**20} MB")
