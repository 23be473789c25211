"""What the operating system refuses (no space, no right, a broken disk), in one form and in words.

Libraries report it each in its own way: HDF5 and safetensors write the number into a text, torch
at times says nothing of it. Limits that the system enforces on this process are set here too,
and what its allocator keeps: glibc gives every block above 32 MiB back as soon as it is freed,
and a convolution at 224 px frees several a batch. Keeping them makes VGG-16 on a CPU a quarter
faster.
"""

import ctypes
import errno
import math
import os
import re
import resource
import sys
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
    errno.ESTALE: "the file server replaced or lost it: run the same command again",
    errno.ETIMEDOUT: "the file server did not answer: run the same command again",
    errno.EMFILE: "raise `ulimit -n` or use fewer threads, and run the same command again",
    errno.ENFILE: "the machine has too many files open: run the same command again later",
}
# What only writing meets: a library that copies may name the file that it reads.
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# What reading meets where the bytes are wrong: places outside the file. ENOSPC is a guess, above.
_OF_WRONG_BYTES = {errno.EINVAL, errno.EFBIG, errno.EOVERFLOW, errno.ENOSPC}


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


def raise_if_refused(error: BaseException, path: Path) -> None:
    """Raise what kept a file from being read though its bytes may be right: no right, a bad disk.

    Args:
        error: what a library raised when it read the file.
        path: of the file.

    Raises:
        NamedSystemError: the operating system refused to read. What is one already keeps its file.
    """
    number = system_errno(error)
    if isinstance(error, NamedSystemError):
        raise error
    if number and number not in _OF_WRONG_BYTES:
        raise NamedSystemError(number, os.strerror(number), str(path)) from error


@contextmanager
def named_system_errors(path: Path, *, temporary: Path | None = None) -> Iterator[None]:
    """Turn what the system refused while `path` was written into an OSError with a file's name.

    Args:
        path: what is written.
        temporary: where it is written, before it gets its name.

    Raises:
        NamedSystemError: with errno, its text and `path`; or with another file, which the error
            names and whose reading may have failed. What is already one keeps its file.
    """
    try:
        yield
    except NamedSystemError:
        raise
    except Exception as error:
        number = system_errno(error)
        if number not in _ADVICE:
            raise
        file = path if number in _OF_WRITING else _other_file(error, path, temporary) or path
        raise NamedSystemError(number, os.strerror(number), str(file)) from error


def _other_file(error: Exception, *own: Path | None) -> str | None:
    """Return the file that an error names, None for one in `own` and where it names none."""
    name = getattr(error, "filename", None)
    if not isinstance(name, (str, os.PathLike)):
        return None
    is_own = any(path is not None and Path(name).is_relative_to(path) for path in own)
    return None if is_own else os.fspath(name)


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


def allow_seconds(seconds: int) -> None:
    """Allow so much more processor time, plus what is left of a second; then SIGXCPU ends it.

    Less where the system limits the process as a whole (`ulimit -t`): then up to a second before it
    would be killed without a word.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    set_soft_limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + seconds)


def set_soft_limit(kind: int, wanted: int) -> None:
    """Set the limit of one of the kinds of `resource`, below what the process may set at all."""
    _, hard = resource.getrlimit(kind)
    soft = wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, hard - 1))
    resource.setrlimit(kind, (soft, hard))


# mallopt(3): parameters of glibc's allocator.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER_TRIM, _MMAP_FROM_BYTES = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Tell the allocator to keep what is freed; return whether this system has such a setting."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        # Another C library, such as musl.
        return False
    settings = ((_TRIM_THRESHOLD, _NEVER_TRIM), (_MMAP_THRESHOLD, _MMAP_FROM_BYTES))
    return all([mallopt(name, value) for name, value in settings])
