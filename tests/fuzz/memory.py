"""Peak memory of a process and of those that it started, from /proc (Linux)."""

import os
import re
import resource
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def peak_mb(pid: int) -> int:
    """Return the largest memory of a running process so far, MiB; 0 when it has ended."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) // 1024 if found else 0


def children() -> list[int]:
    """Return the processes that this one started and that still run."""
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        found += map(int, path.read_text(encoding="utf-8").split())
    return found


def peak_of_children_mb() -> int:
    """Return the largest memory of one child: of those that run, and of those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return max([ended, *map(peak_mb, children())])


def peak_of_all_mb() -> int:
    """Return the largest memory of this process or one of its children."""
    return max(peak_mb(os.getpid()), peak_of_children_mb())
