"""A disk that runs full on the way, and one that may not be written at all."""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.checks import (
    contents,
    expect,
    expect_error,
    expect_lost,
    expect_no_strays,
    expect_same,
    expect_success,
)
from tests.faults.jobs import make_stages, undisturbed
from tests.faults.kills import Stage
from tests.faults.processes import Change, child, run_to_end
from tests.faults.row import Row, skipped
from tests.faults.small_disk import NoSmallDisk, SmallDisk, require_small_disks, small_disk
from tests.faults.stages import Fit
from tests.faults.tally import Tally

NAME = "disk_full"
SHARES = (0.0, 0.1, 0.3, 0.6, 0.9)
"""Sizes of the disk, as shares of the most that the stage takes at a time."""
PAGE = 4096
LARGE = "64m"
LATER_EPOCH = 4


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Let each stage meet disks of several sizes, then a read-only one."""
    try:
        require_small_disks(folder / "probe")
    except NoSmallDisk as error:
        return [skipped("disk full or read-only", str(error))]
    rows = []
    for stage in make_stages(folder / "corpora", with_small_files=True):
        place = folder / stage.name
        expected = undisturbed(stage, place / "whole")
        for name, fault in (("full", _full), ("read-only", _read_only)):
            tally = Tally(f"disk {name}: {stage.name}", stage.unit)
            rows.append(fault(stage, place / name, expected, tally))
        if isinstance(stage, Fit):
            tally = Tally("disk full later: fit", "epochs; by others, in an epoch and at the end")
            rows.append(_full_later(stage, place / "later", expected, tally))
    return rows


def _full(stage: Stage, folder: Path, expected: dict[str, bytes], tally: Tally) -> Row:
    most = _pages(stage, folder / "most")
    for pages in sorted({min(max(1, int(share * most)), most - 1) for share in SHARES}):
        with (
            tally.run(f"{pages} of {most} pages"),
            small_disk(folder / str(pages), str(pages * PAGE)) as disk,
        ):
            _fail(stage, disk, stage.change)
            disk.remount(f"size={LARGE}")
            _continue(stage, disk, expected, tally)
    return tally.row


def _pages(stage: Stage, folder: Path) -> int:
    """Return how many pages a stage takes at its peak, or a little less."""
    with small_disk(folder, LARGE) as disk, child(stage.command(folder), _log(disk)) as started:
        used = 0
        while started.is_running():
            used = max(used, disk.used)
            time.sleep(0.0005)
        expect_success(started.wait())
        return max(used, disk.used) // PAGE


def _full_later(stage: Fit, folder: Path, expected: dict[str, bytes], tally: Tally) -> Row:
    """Others fill the disk while the training runs."""
    for name, fill in (("epoch", _fill_in_epoch), ("end", _fill_at_the_end)):
        with tally.run(name), small_disk(folder / name, LARGE) as disk:
            filler = folder / name / "filler"
            _fail(stage, disk, fill(stage, filler))
            filler.unlink()
            _continue(stage, disk, expected, tally)
    return tally.row


def _fail(stage: Stage, disk: SmallDisk, change: Change) -> None:
    """The command must end with an error that names the place and says what to do."""
    stage.reset()
    ended = run_to_end(stage.command(disk.folder), _log(disk), change)
    expect_error(ended, "no space left on device", str(disk.folder), "free space")


def _read_only(stage: Stage, folder: Path, expected: dict[str, bytes], tally: Tally) -> Row:
    with tally.run(), small_disk(folder / "0", LARGE) as disk:
        stage.reset()
        disk.remount("ro")
        ended = run_to_end(stage.command(disk.folder), _log(disk), stage.change)
        expect_error(ended, "read-only file system", str(disk.folder))
        expect(not contents(disk.folder), "something was written")
        disk.remount("rw")
        _continue(stage, disk, expected, tally)
    return tally.row


def _continue(stage: Stage, disk: SmallDisk, expected: dict[str, bytes], tally: Tally) -> None:
    """The disk has what it lacked: the same command must come to the same files."""
    again = run_to_end(stage.command(disk.folder), _log(disk).with_suffix(".again.log"))
    expect_success(again)
    lost = stage.lost(disk.folder, again)
    tally.lose(lost)
    expect_lost(lost, stage.limit, stage.unit)
    stage.complete(disk.folder)
    expect_same(stage.results(disk.folder), expected)
    expect_no_strays(disk.folder)


def _log(disk: SmallDisk) -> Path:
    return disk.folder.with_suffix(".log")


def _fill_in_epoch(stage: Fit, filler: Path) -> Callable[[], None]:
    """Return a change that fills the disk at the beginning of a later epoch."""

    def change() -> None:
        from train.training.loop import Trainer

        stage.change()
        run_epoch = Trainer._run_epoch

        def filled(trainer: Trainer, epoch: int) -> None:
            if epoch == LATER_EPOCH:
                _fill(filler)
            run_epoch(trainer, epoch)

        Trainer._run_epoch = filled

    return change


def _fill_at_the_end(stage: Fit, filler: Path) -> Callable[[], None]:
    """Return a change that fills the disk before the run folder is written."""

    def change() -> None:
        from train.training.loop import Trainer

        stage.change()
        write_run = Trainer._write_run

        def filled(*arguments: object) -> None:
            _fill(filler)
            write_run(*arguments)

        Trainer._write_run = filled

    return change


def _fill(path: Path) -> None:
    """Write a file until there is no space left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(PAGE)):
            pass
    left = os.statvfs(path).f_bavail
    if left:
        raise RuntimeError(f"{path}: expected a full disk, {left} blocks are left")
