"""Snakemake on the tiny corpus in the background, so that it can be stopped and killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.checks import expect
from tests.workflow.workspace import Workspace, lay_out

CODE = Path(__file__).resolve().parents[2]
OPTIONS = ("--cores", "2", "--rerun-incomplete")
WAIT_S = 300
_FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)", re.MULTILINE)


class Run:
    """One Snakemake in a process group of its own.

    Args:
        process: it leads the group.
        log: what it and its jobs print.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def finished_rules(self) -> set[str]:
        """Rules of which it has seen a job finish."""
        return set(_FINISHED.findall(self.output))

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        os.killpg(self.process.pid, number)

    def kill_after(self, seconds: float) -> bool:
        """Kill the group after so long; return whether it had not ended by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something; to end before it, or to take too long, breaks the check."""
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            expect(self.is_running(), f"ended before {what}: {self.output[-300:]!r}")
            expect(time.monotonic() < deadline, f"{WAIT_S} s without {what}")
            time.sleep(0.01)


@contextmanager
def started(workspace: Workspace, *targets: str) -> Iterator[Run]:
    """Start Snakemake; it is killed when the block ends before it."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(CODE / "Snakefile")]
    command += ["--directory", str(workspace.folder), *targets, *OPTIONS]
    command += ["--configfile", *map(str, workspace.overlays)]
    log = workspace.folder / "killed.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=workspace.folder.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    run = Run(process, log)
    try:
        yield run
    finally:
        if run.is_running():
            run.signal(signal.SIGKILL)
            process.wait()


def make_workspace(folder: Path, settings: dict[str, Any]) -> Workspace:
    """Lay out the tiny corpus with a config that selects part of it."""
    workspace = lay_out(folder, CODE)
    workspace.overlay(settings)
    return workspace


def finish(workspace: Workspace, *targets: str) -> float:
    """Run Snakemake to its end; return the seconds."""
    begun = time.monotonic()
    result = workspace.snakemake(*targets, *OPTIONS)
    expect(result.returncode == 0, result.output[-600:])
    return time.monotonic() - begun


def unlock(workspace: Workspace) -> None:
    """Remove the lock of a killed Snakemake."""
    unlocked = workspace.snakemake("--unlock")
    expect(unlocked.returncode == 0, f"--unlock: {unlocked.output[-300:]!r}")
