"""Read the bytes of an image file: of an ordinary file alone, all at once, up to a limit."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract.core.errors import MnerError
from extract.core.system import NamedSystemError

_CHUNK = 2**20
# Where the system has them: never wait for the other end of a pipe.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# What the system says of this file, and will say again. All else (a disk that fails, a server that
# does not answer, too many open files) may be over at the next try.
_OF_THE_FILE = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "no permission to read the file",
    errno.EPERM: "no permission to read the file",
    errno.EISDIR: "not a file, but a folder, pipe or device",
    **{
        number: f"the file cannot be opened: {os.strerror(number)}"
        for number in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EILSEQ)
    },
}


class UnreadableImage(MnerError):
    """An image file cannot be decoded; the message is the reason, without the file's name."""


def read_image_file(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Return the bytes of an image file.

    Raises:
        UnreadableImage: there is none, it is a folder, a pipe or a device, it may not be read, is
            empty, or larger than `max_bytes`.
        NamedSystemError: the system failed to read it, which says nothing about the image.
    """
    data = bytearray()
    for chunk in _iter_chunks(path, max_bytes):
        data += chunk
    return bytes(data)


def image_file_sha256(path: Path, *, max_bytes: int | None = None) -> str:
    """Return the hexadecimal sha256 of an image file, never holding it in memory as a whole.

    Raises:
        UnreadableImage, NamedSystemError: as `read_image_file`.
    """
    total = hashlib.sha256()
    for chunk in _iter_chunks(path, max_bytes):
        total.update(chunk)
    return total.hexdigest()


def _iter_chunks(path: Path, max_bytes: int | None) -> Iterator[bytes]:
    """Yield a file in pieces of at most 1 MiB; it may grow over the limit while it is read."""
    length = 0
    with _told_apart(path), open(_open(path, max_bytes), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while chunk := file.read(min(size + 1, _CHUNK)):
            length += len(chunk)
            _refuse_size(length, max_bytes)
            yield chunk


def _open(path: Path, max_bytes: int | None) -> int:
    """Return a descriptor of an ordinary file that is neither empty nor too large."""
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a NUL, or no character of the file system
        raise UnreadableImage(f"the file cannot be opened: {error}") from error
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UnreadableImage("not a file, but a folder, pipe or device")
        _refuse_size(state.st_size, max_bytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _told_apart(path: Path) -> Iterator[None]:
    """Tell a file that cannot be read from a system that failed to read it."""
    try:
        yield
    except OSError as error:
        reason = _OF_THE_FILE.get(error.errno)
        if reason is not None:
            raise UnreadableImage(reason) from error
        raise NamedSystemError(error.errno, error.strerror, str(path)) from error


def _refuse_size(n_bytes: int, max_bytes: int | None) -> None:
    if n_bytes == 0:
        raise UnreadableImage("empty file")
    if max_bytes is not None and n_bytes > max_bytes:
        raise UnreadableImage(f"the file is over the limit of {max_bytes // 2**20} MB")
