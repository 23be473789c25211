"""SIGKILL at random moments of one command, and the same command again."""

import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from tests.faults.checks import expect, expect_no_strays, expect_same, expect_success
from tests.faults.processes import Command, Ended, child, run_to_end
from tests.faults.row import Row
from tests.faults.tally import Tally


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

    def lost(self, out: Path, again: Ended) -> int:
        """Return how many units were done twice."""
        return 0

    def complete(self, out: Path) -> None:  # noqa: B027
        """What follows in the pipeline before the results are looked at."""


def kill_stage(stage: Stage, folder: Path, rng: random.Random, rounds: int) -> Row:
    """Kill a stage `rounds` times, uniformly over its duration; return its line of the table."""
    whole = folder / "whole"
    whole.mkdir(parents=True)
    seconds = []
    for number in range(3):
        # The first pays for caches; the longest of the others is what is spread over.
        shutil.rmtree(whole)
        whole.mkdir()
        ended = run_to_end(stage.command(whole), folder / f"whole{number}.log", stage.change)
        expect_success(ended)
        seconds.append(ended.seconds)
    stage.complete(whole)
    expected = stage.results(whole)
    tally, killed = Tally(f"SIGKILL: {stage.name}", stage.unit), 0
    for number in range(rounds):
        out = folder / f"killed{number}"
        out.mkdir()
        moment = rng.uniform(0, max(seconds[1:]))
        with tally.run(f"killed after {moment:.3f} s ({out.name})"):
            stage.reset()
            log = folder / f"{out.name}.log"
            with child(stage.command(out), log, stage.change) as started:
                killed += started.kill_after(moment).is_killed
            again = run_to_end(stage.command(out), log.with_suffix(".again.log"))
            expect_success(again)
            lost = stage.lost(out, again)
            tally.lose(lost)
            expect(
                stage.limit is None or lost <= stage.limit,
                f"{lost} {stage.unit} lost, more than {stage.limit}",
            )
            stage.complete(out)
            expect_same(stage.results(out), expected)
            expect_no_strays(out)
            shutil.rmtree(out)
    if tally.note == stage.unit:
        tally.note = f"{stage.unit}; {killed} before the end".removeprefix("; ")
    return tally.row
