"""Two processes on one result: one goes on, the other ends at once and names it."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.checks import expect, expect_error, expect_no_strays, expect_same, expect_success
from tests.faults.jobs import make_stages, undisturbed
from tests.faults.kills import Stage
from tests.faults.processes import child, run_to_end
from tests.faults.row import Row
from tests.faults.tally import Tally

NAME = "two_at_once"
WAIT_S = 60
"""Longest wait for the lock, and of its holder for leave to go on."""


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Start each stage twice; then once more beside one that is killed."""
    rows = []
    for stage in make_stages(folder / "corpora"):
        tally = Tally(f"two at once: {stage.name}", "the second ends with exit code 2")
        expected = undisturbed(stage, folder / stage.name / "whole")
        for name, fault in (("both", _both), ("killed", _beside_a_killed_one)):
            with tally.run(name):
                out = folder / stage.name / name
                out.mkdir()
                fault(stage, out)
                stage.complete(out)
                expect_same(stage.results(out), expected)
                expect_no_strays(out)
        rows.append(tally.row)
    return rows


def _both(stage: Stage, out: Path) -> None:
    """The second one is refused while the first one works, and changes nothing for it."""
    leave = out.with_suffix(".leave")
    with child(stage.command(out), out.with_suffix(".first.log"), _hold(leave)) as first:
        _wait_for_lock(out, first.pid)
        second = run_to_end(stage.command(out), out.with_suffix(".second.log"))
        expect(first.is_running(), "the first one ended too early to tell")
        leave.touch()
        expect_error(second, "another process", f"pid {first.pid}")
        expect_success(first.wait())


def _beside_a_killed_one(stage: Stage, out: Path) -> None:
    """The lock goes with its holder."""
    leave = out.with_suffix(".leave")
    with child(stage.command(out), out.with_suffix(".first.log"), _hold(leave)) as first:
        _wait_for_lock(out, first.pid)
        expect(first.kill().is_killed, "the first one ended before it was killed")
    expect_success(run_to_end(stage.command(out), out.with_suffix(".second.log")))


def _wait_for_lock(out: Path, pid: int) -> None:
    """Wait until a process has written its number into a lock file."""
    deadline = time.monotonic() + WAIT_S
    while not any(f"pid {pid}" in _text(path) for path in out.glob(".*.lock")):
        expect(time.monotonic() < deadline, "no lock was taken")
        time.sleep(0.005)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _hold(leave: Path) -> Callable[[], None]:
    """Return a change that lets whoever holds a lock wait for a file before it works."""

    def change() -> None:
        from extract.core import files

        acquire = files._acquire

        def held(*arguments: object) -> None:
            acquire(*arguments)
            deadline = time.monotonic() + WAIT_S
            while not leave.exists() and time.monotonic() < deadline:
                time.sleep(0.01)

        files._acquire = held

    return change
