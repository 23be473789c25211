"""Files appear whole or not at all: write beside the target, fsync, rename over it."""

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from extract.core.host import host_tag
from extract.core.system import named_system_errors

# Of the machine (see `host_tag`) and the process that write it.
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
    tmp = target.with_name(f".{target.name}.{host_tag()}.{os.getpid()}.tmp")
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
            if not match or match["host"] != host_tag():
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
