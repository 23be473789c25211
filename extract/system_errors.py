"""What the operating system refuses (no space, no right, a broken disk), in one form and in words.

Libraries report it each in its own way: HDF5 and safetensors write the number into a text, torch
at times says nothing of it.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ERRNO = re.compile(r"(?:\berrno = |\[Errno |\(os error )(\d+)")
# How HDF5 names the file.
_FILE = re.compile(r"name = '([^']+)'")
_STRERROR = re.compile(r"strerror: ([^\n]+)")
# What torch says when its writer stopped half-way.
_CUT_OFF = re.compile(r"unexpected pos \d+|iostream error|PytorchStreamWriter failed")

_FREE_SPACE = "free space there and run the same command again; what is done is kept"
_ADVICE = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: "mount it writable, or write elsewhere, and run the same command again",
    errno.EACCES: "give this user the right to it and run the same command again",
    errno.EPERM: "give this user the right to it and run the same command again",
    errno.EFBIG: "no file may be this large here (see `ulimit -f`): allow it, or use more shards",
    errno.EIO: "the disk failed to read or write it: look at the system log, then run again",
}


class NamedSystemError(OSError):
    """What the operating system refused, with the file that the command was making."""


def system_errno(error: BaseException) -> int:
    """Return the errno that an exception stands for, 0 where it is of another kind."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    # SafetensorError derives from Exception alone.
    if not isinstance(error, (OSError, RuntimeError)) and type(error).__name__ != "SafetensorError":
        return 0
    text = str(error)
    found = _ERRNO.search(text)
    if found:
        return int(found[1])
    named = _STRERROR.search(text)
    if named:
        return next((n for n in errno.errorcode if os.strerror(n) == named[1].strip()), errno.EIO)
    return errno.ENOSPC if _CUT_OFF.search(text) else 0


@contextmanager
def named_system_errors(path: Path) -> Iterator[None]:
    """Turn what the system refused while `path` was written into an OSError that names it.

    Raises:
        NamedSystemError: with errno, its text and `path`. What is already one keeps its file.
    """
    try:
        yield
    except NamedSystemError:
        raise
    except Exception as error:
        number = system_errno(error)
        if number not in _ADVICE:
            raise
        raise NamedSystemError(number, os.strerror(number), str(path)) from error


def explain(error: OSError) -> str:
    """Return `file: what the system said. What to do.` in one line."""
    number = system_errno(error)
    named = _FILE.search(str(error))
    file = error.filename or (named and named[1])
    place = f"{file}: " if file else ""
    if number not in _ADVICE:
        return f"{place}{error.strerror or error}"
    reason = os.strerror(number)
    return f"{place}{reason[0].lower()}{reason[1:]}; {_ADVICE[number]}."
