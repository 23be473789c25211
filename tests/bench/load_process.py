"""Run a command and measure it: seconds, processor time, greatest memory, memory over time.

The caller must stay small: on Linux the peak of a new process starts at the memory of the one that
started it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_S = 0.5


@dataclass(frozen=True)
class Measured:
    """What one command took."""

    seconds: float
    """From start to end; other work on the machine counts."""
    cpu_s: float
    """Processor time of it and of the processes that it started."""
    peak_mb: float
    """Greatest resident memory of the largest of its processes."""
    log: str
    """What it wrote to stdout and stderr."""
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    """(seconds since the start, private MB of the process, private MB of its children)."""


def measure(
    command: Sequence[object], log: Path, *, stdout: Path | None = None, sample: bool = False
) -> Measured:
    """Run `python -m <command>` in the folder of its log.

    Args:
        command: module and arguments.
        log: file for what it writes.
        stdout: file for its standard output alone.
        sample: also look at its memory all the time.

    Raises:
        SystemExit: it fails; the message is what it wrote.
    """
    words = [sys.executable, "-m", *map(str, command)]
    samples: list[tuple[float, float, float]] = []
    started = time.perf_counter()
    with log.open("wb") as errors, (stdout or Path(os.devnull)).open("wb") as output:
        child = subprocess.Popen(
            words, cwd=log.parent, stdout=output if stdout else errors, stderr=errors
        )
        while sample and not _has_ended(child.pid):
            samples.append((time.perf_counter() - started, *_private_mb(child.pid)))
            time.sleep(INTERVAL_S)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    text = log.read_text(encoding="utf-8", errors="replace")
    if child.returncode:
        raise SystemExit(f"{' '.join(words)}\nexit status {child.returncode}\n{text[-4000:]}")
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text, samples)


def _has_ended(pid: int) -> bool:
    """True when a process waits to be reaped; this leaves its resource usage to be read."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _private_mb(pid: int) -> tuple[float, float]:
    """Return the private memory of a process and the sum of its children's, in MB.

    Pages of files, which the system takes back when it needs them, do not count, and what a child
    still shares with its parent is the parent's.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        pids = children.read_text().split()
    except OSError:
        pids = []
    return _anonymous_mb(pid), sum(_dirty_mb(int(child)) for child in pids)


def _anonymous_mb(pid: int) -> float:
    return _field_mb(Path(f"/proc/{pid}/status"), "RssAnon:")


def _dirty_mb(pid: int) -> float:
    return _field_mb(Path(f"/proc/{pid}/smaps_rollup"), "Private_Dirty:")


def _field_mb(path: Path, name: str) -> float:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
