"""A clock that jumps back: while a stage runs, and between the inputs and the run."""

import os
import random
import time
from pathlib import Path

from tests.faults.checks import expect_no_strays, expect_same, expect_success
from tests.faults.jobs import make_stages, undisturbed
from tests.faults.processes import run_to_end
from tests.faults.row import Row
from tests.faults.tally import Tally

NAME = "clock"
YEAR_S = 365 * 24 * 3600


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Run each stage under such clocks."""
    rows = []
    for stage in make_stages(folder / "corpora"):
        tally = Tally(f"clock set back: {stage.name}")
        expected = undisturbed(stage, folder / stage.name / "whole")
        for name, shift_s in (("falling", 0), ("inputs of the future", 9), ("of long ago", -40)):
            with tally.run(name):
                out = folder / stage.name / name
                out.mkdir()
                if shift_s:
                    _date(folder / "corpora", shift_s * YEAR_S)
                change = _set_back if name == "falling" else None
                expect_success(run_to_end(stage.command(out), out.with_suffix(".log"), change))
                stage.complete(out)
                expect_same(stage.results(out), expected)
                expect_no_strays(out)
        rows.append(tally.row)
    return rows


def _set_back() -> None:
    """Let every look at the clock show an hour less."""
    now = time.time()

    def earlier() -> float:
        nonlocal now
        now -= 3600
        return now

    time.time = earlier
    time.time_ns = lambda: int(earlier() * 1e9)


def _date(folder: Path, shift_s: float) -> None:
    """Give every file another modification time."""
    moment = time.time() + shift_s
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (moment, moment))
