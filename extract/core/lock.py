"""One process at a time on one result: a lock that the system takes back when its holder dies."""

import errno
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout, UnixFileLock

from extract.core.errors import BusyError
from extract.core.host import host_tag
from extract.core.system import named_system_errors

logger = logging.getLogger(__name__)

_HOLDER = re.compile(r"(?P<pid>pid \d+) (?P<host>[0-9a-f]{8})")
# What flock answers on file systems without locks.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


def lock_file(result: Path) -> Path:
    """Return where the lock of a result is."""
    return result.with_name(f".{result.name}.lock")


@contextmanager
def only_process(result: Path) -> Iterator[None]:
    """Hold the lock of a result while it is made.

    The lock is a flock on `.<name>.lock` beside the result, where its holder writes its number and
    its machine's tag (see `host_tag`); the file goes at the end. A killed holder leaves the file,
    but not the lock.

    Args:
        result: file or folder that this process makes.

    Raises:
        BusyError: another process is at it.
    """
    result = Path(result)
    path = lock_file(result)
    with named_system_errors(path):
        result.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, thread_local=False)
        _acquire(lock, path, result)
    try:
        yield
    finally:
        if lock.is_locked and isinstance(lock, UnixFileLock):
            # While it is held, so that nobody else's goes; who has it open sees that it is gone.
            path.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, path: Path, result: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            lock.acquire()
        except Timeout:
            raise BusyError(
                f"{result}: another process ({_holder(path)}) is making it. Wait for its end, or "
                "stop it; then run the same command again."
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logger.warning("%s: no locks here (%s): do not run two at once", path.parent, error)
            return
    if any("flock" in str(warning.message) for warning in caught):
        logger.warning("%s: no flock here: the lock is a file that a kill leaves behind", path)
    elif lock.is_locked:
        # Who it is helps, but nothing rests on it: a full disk stops the work itself, not this.
        with suppress(OSError):
            path.write_text(f"pid {os.getpid()} {host_tag()}\n", encoding="utf-8")


def _holder(path: Path) -> str:
    """Return what the holder says of itself: its number, and whether it runs on this machine."""
    try:
        match = _HOLDER.match(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        match = None
    if match is None:
        return "pid unknown"
    place = "this" if match["host"] == host_tag() else "another"
    return f"{match['pid']} on {place} machine"
