"""Files appear whole or not at all, and one process at a time makes a result.

`atomic_path` writes beside the target, calls fsync and renames over it. `only_process` holds a
lock that the system takes back when its holder dies. `machine_tag` tells machines apart that share
a file system.
"""

import errno
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout, UnixFileLock

from extract.core.errors import BusyError
from extract.core.system import named_system_errors

logger = logging.getLogger(__name__)


# Of the machine (see `machine_tag`) and the process that write it.
_TEMPORARY = re.compile(r"\.(?P<target>.+)\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.tmp")


@contextmanager
def atomic_path(target: Path, *, in_folder: bool = False) -> Iterator[Path]:
    """Yield a path beside `target`; on success it replaces `target`, on error it is removed.

    What a killed process of this machine left of the same target goes at the first write into the
    folder. Other machines may write there too: which of their processes live is not known here.

    Args:
        target: what is written.
        in_folder: yield a path in a temporary folder, for a library that puts files of its own
            beside what it writes: a kill leaves them there, and they go with the folder.

    Raises:
        OSError: with the name of the target, whatever library found that it cannot be written; of
            a file that could not be read meanwhile, with the name of that.
    """
    target = Path(target)
    tmp = target.with_name(f".{target.name}.{machine_tag()}.{os.getpid()}.tmp")
    written = tmp / target.name if in_folder else tmp
    with named_system_errors(target, temporary=tmp):
        written.parent.mkdir(parents=True, exist_ok=True)
        for stale in _stale_temporaries(target.parent, os.getpid()).pop(target.name, ()):
            _remove(stale)
        try:
            yield written
            with written.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(written, target)
        finally:
            _remove(tmp)


def _remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@cache
def _stale_temporaries(folder: Path, pid: int) -> dict[str, list[Path]]:
    """Return target name -> what dead processes of this machine left; one listing a folder and pid.

    Args:
        folder: is listed.
        pid: of this process: a fork looks anew.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if not match or match["host"] != machine_tag():
                continue
            if int(match["pid"]) != pid and not _is_alive(int(match["pid"])):
                found[match["target"]].append(Path(entry.path))
    return found


def _is_alive(pid: int) -> bool:
    """Return whether a process of this number exists on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    except OverflowError:
        return False  # no number of a process
    return True


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as tmp:
        tmp.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write sorted, indented JSON atomically, so equal values give equal bytes."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


# Processes of one boot and one container have numbers that differ; of two they may be equal.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@cache
def machine_tag() -> str:
    """Return 8 hex digits of this machine, boot and process namespace; they name none of these."""
    known = [platform.node()]
    # Neither exists outside Linux.
    with suppress(OSError):
        known += [_BOOT_ID.read_text(encoding="ascii").strip(), os.readlink(_PID_NAMESPACE)]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


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
    its machine's tag (see `machine_tag`); the file goes at the end. A killed holder leaves the
    file, but not the lock.

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
            path.write_text(f"pid {os.getpid()} {machine_tag()}\n", encoding="utf-8")


def _holder(path: Path) -> str:
    """Return what the holder says of itself: its number, and whether it runs on this machine."""
    try:
        match = _HOLDER.match(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        match = None
    if match is None:
        return "pid unknown"
    place = "this" if match["host"] == machine_tag() else "another"
    return f"{match['pid']} on {place} machine"
