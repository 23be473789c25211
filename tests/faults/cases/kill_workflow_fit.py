"""SIGKILL of Snakemake with its process group while it trains: epochs are continued.

Of a training of one process, and of one of two, whose launcher gives each a session of its own.
"""

import json
import random
import re
import shutil
import time
from pathlib import Path

from tests.faults.checks import (
    contents,
    expect,
    expect_lost,
    expect_no_processes,
    expect_no_processes_in,
    expect_no_strays,
    expect_same,
)
from tests.faults.kills import attempts
from tests.faults.row import Row
from tests.faults.snakemake_runs import finish, make_workspace, started, unlock
from tests.faults.tally import Tally
from tests.faults.trainings import Training
from tests.workflow.workspace import Workspace

NAME = "kill_workflow_fit"
SHARE = 15
"""Kills: the rounds divided by this."""
EPOCHS = 40
RUN = "results/tiny/runs/tiny_text_crf/seed1"
TARGET = f"{RUN}/model.safetensors"
LOG = "logs/tiny/fit.tiny_text_crf.seed1.log"
SELECTED = {
    "datasets": ["tiny"],
    "feature_sets": ["tiny_random"],
    "exports": [],
    "models": ["tiny_text_crf"],
}
_EPOCH = re.compile(r"epoch (\d+)/\d+: loss")


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill Snakemake within its job `fit`."""
    return [_kill_fits(folder / str(processes), rng, rounds, processes) for processes in (1, 2)]


def _kill_fits(folder: Path, rng: random.Random, rounds: int, processes: int) -> Row:
    model = {"recipe": {"epochs": EPOCHS}, "processes": processes}
    selected = {"run": SELECTED, "models": {"tiny_text_crf": model}}
    whole = make_workspace(folder / "whole", selected)
    with started(whole, TARGET) as undisturbed:
        undisturbed.wait_until((whole.folder / LOG).exists, "the training")
        begun = time.monotonic()
        code = undisturbed.process.wait()
        seconds = time.monotonic() - begun
        expect(code == 0, undisturbed.output[-600:])
    expected = Training.results(whole.folder / RUN)
    kills = max(2, rounds // SHARE)
    name = "fit" if processes == 1 else f"fit of {processes} processes"
    tally = Tally(f"SIGKILL: snakemake within {name}", "epochs", wanted=kills)
    for number in range(attempts(kills)):
        if tally.runs == kills:
            break
        # What is ready before the training is not made again for each kill.
        shutil.copytree(whole.folder, folder / str(number), symlinks=True)
        workspace = Workspace(folder / str(number), whole.code)
        workspace.overlays += [workspace.folder / path.name for path in whole.overlays]
        shutil.rmtree(workspace.folder / RUN)
        (workspace.folder / LOG).unlink()
        _kill(workspace, rng.uniform(0.1, 1.0) * seconds, expected, tally)
    return tally.row


def _kill(workspace: Workspace, moment: float, expected: dict[str, bytes], tally: Tally) -> None:
    """Kill one run within the training, unless that ends before, and continue it."""
    log = workspace.folder / LOG
    with started(workspace, TARGET) as killed:
        killed.wait_until(log.exists, "the training")
        is_killed = killed.kill_after(moment)
    if "fit" in killed.finished_rules or (not is_killed and killed.process.returncode == 0):
        tally.miss()
        shutil.rmtree(workspace.folder)
        return
    with tally.run(f"{moment:.1f} s after the start of fit ({workspace.folder.name})"):
        expect(is_killed, f"exit code {killed.process.returncode}: {killed.output[-300:]!r}")
        expect_no_processes(killed.process.pid)
        expect_no_processes_in(workspace.folder)
        done = max(map(int, _EPOCH.findall(log.read_text(encoding="utf-8"))), default=0)
        unlock(workspace)
        finish(workspace, TARGET)
        lost = _repeated(workspace.folder / RUN, done)
        tally.lose(lost)
        expect_lost(lost, 1, "epochs")
        expect_same(Training.results(workspace.folder / RUN), expected)
        expect(bool(contents(workspace.folder / RUN, "fit.run.json")), "no note of the end")
        expect_no_strays(workspace.folder / "results/tiny/samples")
        shutil.rmtree(workspace.folder)


def _repeated(run: Path, done: int) -> int:
    """Return how many epochs that the killed training had finished were trained again."""
    resumed_from = json.loads((run / "fit.run.json").read_text(encoding="utf-8"))["resumed_from"]
    return max(0, done - resumed_from)
