"""SIGKILL at random moments of one command, and the same command again."""

import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from tests.faults.checks import (
    expect,
    expect_lost,
    expect_no_processes,
    expect_no_strays,
    expect_same,
    expect_success,
)
from tests.faults.processes import Command, Ended, child, run_to_end
from tests.faults.row import Row
from tests.faults.tally import Tally

ATTEMPTS = 4
"""Most processes that are started for one kill: some end before it."""
LEAST_ATTEMPTS = 20
"""Of all kills of one stage together, so that chance does not end a short round."""


class Stage(ABC):
    """One command that is killed.

    Attributes:
        name: of the table.
        limit: most units of work that may be lost; None where there is nothing but the whole.
        unit: what the lost units are.
    """

    name: str
    limit: int | None = None
    unit: str = ""

    @abstractmethod
    def command(self, out: Path) -> Command:
        """Return the command that writes into the folder `out`."""

    @abstractmethod
    def results(self, out: Path) -> Mapping[str, bytes]:
        """Return the final files, by name."""

    def change(self) -> None:  # noqa: B027
        """Count work in the child that is killed; nothing by default."""

    def reset(self) -> None:  # noqa: B027
        """Forget what was counted."""

    def lost(self, out: Path, again: Ended) -> int | None:
        """Return how many units were done twice; None where they are not counted."""
        return None

    def complete(self, out: Path) -> None:  # noqa: B027
        """What follows in the pipeline before the results are looked at."""


def kill_stage(stage: Stage, folder: Path, rng: random.Random, rounds: int) -> Row:
    """Kill a stage `rounds` times, uniformly over its duration; return its line of the table.

    A process that ended by itself before its moment is no kill, and another moment is drawn. How
    long it took is one more duration to draw from: on a busy machine they differ several times.
    """
    seconds, expected = _undisturbed(stage, folder)
    tally = Tally(f"SIGKILL: {stage.name}", stage.unit, wanted=rounds)
    for number in range(attempts(rounds)):
        if tally.runs == rounds:
            break
        out = folder / f"killed{number}"
        out.mkdir()
        moment = rng.uniform(0, rng.choice(seconds))
        stage.reset()
        with child(stage.command(out), folder / f"{out.name}.log", stage.change) as started:
            ended = started.kill_after(moment)
        if ended.code == 0:
            tally.miss()
            seconds.append(ended.seconds)
            shutil.rmtree(out)
            continue
        with tally.run(f"killed after {moment:.3f} s ({out.name})"):
            expect(ended.is_killed, f"exit code {ended.code}: {ended.log[-300:]!r}")
            expect_no_processes(started.pid)
            _continue(stage, out, expected, tally)
            shutil.rmtree(out)
    return tally.row


def attempts(rounds: int) -> int:
    """Return how many processes may be started for so many kills."""
    return max(LEAST_ATTEMPTS, ATTEMPTS * rounds)


def _undisturbed(stage: Stage, folder: Path) -> tuple[list[float], Mapping[str, bytes]]:
    """Return how long a stage took each time, seconds, and its final files."""
    whole, seconds = folder / "whole", []
    for number in range(3):
        # The first pays for caches and does not count.
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir(parents=True)
        ended = run_to_end(stage.command(whole), folder / f"whole{number}.log", stage.change)
        expect_success(ended)
        seconds.append(ended.seconds)
    stage.complete(whole)
    return seconds[1:], stage.results(whole)


def _continue(stage: Stage, out: Path, expected: Mapping[str, bytes], tally: Tally) -> None:
    """The same command again must lose no more than the limit and come to the same files."""
    again = run_to_end(stage.command(out), out.with_suffix(".again.log"))
    expect_success(again)
    lost = stage.lost(out, again)
    tally.lose(lost)
    expect_lost(lost, stage.limit, stage.unit)
    stage.complete(out)
    expect_same(stage.results(out), expected)
    expect_no_strays(out)
