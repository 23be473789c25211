"""Files appear whole or not at all: write beside the target, fsync, rename over it."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from extract.host import host_tag
from extract.system_errors import named_system_errors

# Of the machine (see `host_tag`) and the process that write it.
_TEMPORARY = re.compile(r"\.(?P<target>.+)\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.tmp")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path beside `target`; on success it replaces `target`, on error it is removed.

    What a killed process of this machine left of the same target goes at the first write into the
    folder. Other machines may write there too: which of their processes live is not known here.

    Raises:
        OSError: with the name of the target, whatever library found that it cannot be written; of
            a file that could not be read meanwhile, with the name of that.
    """
    target = Path(target)
    tmp = target.with_name(f".{target.name}.{host_tag()}.{os.getpid()}.tmp")
    with named_system_errors(target, temporary=tmp):
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in _stale_temporaries(target.parent, os.getpid()).pop(target.name, ()):
            stale.unlink(missing_ok=True)
        try:
            yield tmp
            with tmp.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(tmp, target)
        finally:
            tmp.unlink(missing_ok=True)


@cache
def _stale_temporaries(folder: Path, pid: int) -> dict[str, list[Path]]:
    """Return target name -> files of this machine's dead processes; one listing a folder and pid.

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
