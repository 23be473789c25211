"""SIGKILL of Snakemake with its process group: `--unlock`, and the next run ends as undisturbed."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

from tests.faults.checks import (
    contents,
    expect,
    expect_lost,
    expect_no_processes,
    expect_no_strays,
    expect_same,
)
from tests.faults.kills import attempts
from tests.faults.row import Row
from tests.faults.snakemake_runs import OPTIONS, finish, make_workspace, started, unlock
from tests.faults.tally import Tally
from tests.workflow.workspace import Workspace

NAME = "kill_workflow"
SHARE = 15
"""Kills: the rounds divided by this."""
TARGET = "features"
SELECTED = {
    "run": {
        "datasets": ["tiny"],
        "feature_sets": ["tiny_random", "tiny_pixels", "tiny_captions"],
        "exports": [],
        "models": [],
    }
}
DECIDED = ("results/tiny/features/*.h5", "results/tiny/samples/*", "results/tiny/images.tsv")


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill whole runs of the tiny corpus; then the two faults that are no kills."""
    whole = _workspace(folder / "whole")
    finish(whole, TARGET)
    expected = contents(whole.folder, *DECIDED)
    # The first run paid for caches.
    seconds = finish(_workspace(folder / "warm"), TARGET)
    kills = max(2, rounds // SHARE)
    tally = Tally("SIGKILL: snakemake --cores 2", "rows of finished shards", wanted=kills)
    for number in range(attempts(kills)):
        if tally.runs == kills:
            break
        _kill(folder / str(number), rng.uniform(0.1, 1.0) * seconds, expected, tally)
    return [tally.row, _two_at_once(folder / "two", expected), _set_back(whole, expected)]


def _workspace(folder: Path) -> Workspace:
    return make_workspace(folder, SELECTED)


def _kill(folder: Path, moment: float, expected: dict[str, bytes], tally: Tally) -> None:
    """Kill one run, unless it ends before, and continue it; a failed one keeps its folder."""
    workspace = _workspace(folder)
    with started(workspace, TARGET) as killed:
        is_killed = killed.kill_after(moment)
    if not is_killed and killed.process.returncode == 0:
        tally.miss()
        shutil.rmtree(folder)
        return
    with tally.run(f"after {moment:.1f} s ({folder.name})"):
        expect(is_killed, f"exit code {killed.process.returncode}: {killed.output[-300:]!r}")
        expect_no_processes(killed.process.pid)
        shards = _finished_shards(folder)
        unlock(workspace)
        result = workspace.snakemake(TARGET, *OPTIONS)
        expect(result.returncode == 0, result.output[-600:])
        lost = _recomputed(folder, shards)
        tally.lose(lost)
        expect_lost(lost, 0, "rows of finished shards")
        repeated = killed.finished_rules & set(result.jobs) & {"prepare_dataset"}
        expect(not repeated, f"repeated though finished: {sorted(repeated)}")
        expect_same(contents(folder, *DECIDED), expected)
        expect_no_strays(folder / "results")
        shutil.rmtree(folder)


def _finished_shards(folder: Path) -> dict[str, int]:
    """Return log name -> rows computed, of shards whose command came to its end."""
    return {log.name: n for log in folder.glob("logs/**/*.log") if (n := _computed(log)) >= 0}


def _computed(log: Path) -> int:
    """Return what the summary of `features` or `ground` says, -1 without one."""
    for line in reversed(log.read_text(encoding="utf-8", errors="replace").splitlines()):
        if '"computed":' in line:
            return json.loads(line[line.index("{") :])["computed"]
    return -1


def _recomputed(folder: Path, before: dict[str, int]) -> int:
    """Return how many rows of shards that were finished before the kill were computed again.

    The log of a job that ran again is a new one: it says what the second run had to compute.
    """
    killed = (folder / "killed.log").stat().st_mtime_ns
    logs = {log.name: log for log in folder.glob("logs/**/*.log")}
    again = [logs[name] for name in before if logs[name].stat().st_mtime_ns > killed + 10**8]
    return sum(max(0, _computed(log)) for log in again)


def _two_at_once(folder: Path, expected: dict[str, bytes]) -> Row:
    """A second Snakemake on the same folder is refused and changes nothing for the first."""
    tally = Tally("two at once: snakemake", "the second ends with Snakemake's lock message")
    workspace = _workspace(folder)
    with tally.run(), started(workspace, TARGET) as first:
        locks = workspace.folder / ".snakemake/locks"
        first.wait_until(lambda: any(locks.glob("*")), "Snakemake's lock")
        # It stands still, so that it cannot end before the second begins.
        first.signal(signal.SIGSTOP)
        second = workspace.snakemake(TARGET, *OPTIONS)
        first.signal(signal.SIGCONT)
        expect(second.returncode != 0, "the second was not refused")
        expect("Directory cannot be locked" in second.output, second.output[-300:])
        expect(first.process.wait() == 0, f"the first failed: {first.output[-600:]!r}")
        expect_same(contents(folder, *DECIDED), expected)
        expect_no_strays(folder / "results")
    return tally.row


def _set_back(workspace: Workspace, expected: dict[str, bytes]) -> Row:
    """Outputs older than their inputs, as a clock set back leaves them: rows are copied."""
    tally = Tally("clock set back: snakemake", "rows computed again")
    for store in (workspace.folder / "results/tiny/features").glob("*.h5"):
        os.utime(store, (10**9, 10**9))
    with tally.run():
        moment = time.time_ns()
        finish(workspace, TARGET)
        logs = workspace.folder.glob("logs/**/extract_features.*.log")
        lost = sum(_computed(log) for log in logs if log.stat().st_mtime_ns > moment)
        tally.lose(lost)
        expect_lost(lost, 0, "rows")
        expect_same(contents(workspace.folder, *DECIDED), expected)
    return tally.row
