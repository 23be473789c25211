"""SIGKILL of a whole Snakemake run: `--unlock`, and the next run ends where no kill would."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.checks import contents, expect, expect_no_strays, expect_same
from tests.faults.row import Row
from tests.faults.tally import Tally
from tests.workflow.workspace import Workspace, lay_out

NAME = "kill_workflow"
CODE = Path(__file__).resolve().parents[3]
SHARE = 15
"""Kills: the rounds divided by this."""
ARGUMENTS = ("features", "--cores", "2", "--rerun-incomplete")
SELECTED = {
    "run": {
        "datasets": ["tiny"],
        "feature_sets": ["tiny_random", "tiny_pixels", "tiny_captions"],
        "exports": [],
        "models": [],
    }
}
DECIDED = ("results/tiny/features/*.h5", "results/tiny/samples/*", "results/tiny/images.tsv")
_FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)", re.MULTILINE)


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill whole runs of the tiny corpus."""
    whole = _workspace(folder / "whole")
    started = time.monotonic()
    _finish(whole)
    seconds = time.monotonic() - started
    expected = contents(whole.folder, *DECIDED)
    tally = Tally("SIGKILL: snakemake --cores 2", "rows of finished shards")
    for number in range(max(2, rounds // SHARE)):
        workspace = _workspace(folder / str(number))
        moment = rng.uniform(0.2, 1.0) * seconds
        with tally.run(f"after {moment:.1f} s"):
            before = _run_and_kill(workspace, moment)
            shards = _finished_shards(workspace.folder)
            unlocked = workspace.snakemake("--unlock")
            expect(unlocked.returncode == 0, f"--unlock: {unlocked.output[-300:]!r}")
            result = workspace.snakemake(*ARGUMENTS)
            expect(result.returncode == 0, result.output[-600:])
            lost = _recomputed(workspace.folder, shards)
            tally.lose(lost)
            expect(lost == 0, f"{lost} rows of finished shards were computed again")
            repeated = before & set(result.jobs) & {"prepare_dataset"}
            expect(not repeated, f"repeated though finished: {sorted(repeated)}")
            expect_same(contents(workspace.folder, *DECIDED), expected)
            expect_no_strays(workspace.folder / "results")
        shutil.rmtree(workspace.folder, ignore_errors=True)
    return [tally.row, _set_back(whole, expected)]


def _workspace(folder: Path) -> Workspace:
    workspace = lay_out(folder, CODE)
    workspace.overlay(SELECTED)
    return workspace


def _finish(workspace: Workspace) -> None:
    result = workspace.snakemake(*ARGUMENTS)
    expect(result.returncode == 0, result.output[-600:])


def _run_and_kill(workspace: Workspace, seconds: float) -> set[str]:
    """Start Snakemake, kill its whole session; return the rules that it had seen finish."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(CODE / "Snakefile")]
    command += ["--directory", str(workspace.folder), *ARGUMENTS]
    command += ["--configfile", *map(str, workspace.overlays)]
    log = workspace.folder / "killed.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=workspace.folder.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    time.sleep(0.2)
    return set(_FINISHED.findall(log.read_text(encoding="utf-8")))


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


def _set_back(workspace: Workspace, expected: dict[str, bytes]) -> Row:
    """Outputs older than their inputs, as a clock set back leaves them: rows are copied."""
    tally = Tally("clock set back: snakemake", "rows computed again")
    for store in (workspace.folder / "results/tiny/features").glob("*.h5"):
        os.utime(store, (10**9, 10**9))
    with tally.run():
        moment = time.time_ns()
        _finish(workspace)
        logs = workspace.folder.glob("logs/**/extract_features.*.log")
        lost = sum(_computed(log) for log in logs if log.stat().st_mtime_ns > moment)
        tally.lose(lost)
        expect(lost == 0, f"{lost} rows were computed again")
        expect_same(contents(workspace.folder, *DECIDED), expected)
    return tally.row
