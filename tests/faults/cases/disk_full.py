"""A disk that runs full on the way, and one that may not be written at all."""

import random
from pathlib import Path

from tests.faults.checks import (
    contents,
    expect,
    expect_error,
    expect_no_strays,
    expect_same,
    expect_success,
)
from tests.faults.jobs import make_stages, undisturbed
from tests.faults.kills import Stage
from tests.faults.processes import run_to_end
from tests.faults.row import Row
from tests.faults.small_disk import NoSmallDisk, SmallDisk, small_disk
from tests.faults.tally import Tally

NAME = "disk_full"
SHARES = (0.0, 0.1, 0.3, 0.6, 0.9)
"""Sizes of the disk, as shares of what the finished results take."""
PAGE = 4096


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Let each stage meet disks of several sizes, then a read-only one."""
    rows = []
    for stage in make_stages(folder / "corpora"):
        place = folder / stage.name
        expected = undisturbed(stage, place / "whole")
        for name, fault in (("full", _full), ("read-only", _read_only)):
            title = f"disk {name}: {stage.name}"
            try:
                rows.append(fault(stage, place / name, expected, Tally(title, stage.unit)))
            except NoSmallDisk as error:
                rows.append(Row(title, 0, 0, 0, f"not run: {error}"))
    return rows


def _full(stage: Stage, folder: Path, expected: dict[str, bytes], tally: Tally) -> Row:
    pages = sum(-(-len(data) // PAGE) for data in expected.values())
    for number, share in enumerate(SHARES):
        size = str(max(2, round(share * pages)) * PAGE)
        with small_disk(folder / str(number), size) as disk, tally.run(f"{size} bytes"):
            log = folder / f"{number}.log"
            stage.reset()
            ended = run_to_end(stage.command(disk.folder), log, stage.change)
            expect_error(ended, "no space left on device", str(disk.folder), "free space")
            disk.remount("size=64m")
            _continue(stage, disk, log, expected, tally)
    return tally.row


def _read_only(stage: Stage, folder: Path, expected: dict[str, bytes], tally: Tally) -> Row:
    with small_disk(folder / "0", "64m") as disk, tally.run():
        stage.reset()
        disk.remount("ro")
        ended = run_to_end(stage.command(disk.folder), folder / "0.log", stage.change)
        expect_error(ended, "read-only file system", str(disk.folder))
        expect(not contents(disk.folder), "something was written")
        disk.remount("rw")
        _continue(stage, disk, folder / "0.log", expected, tally)
    return tally.row


def _continue(
    stage: Stage, disk: SmallDisk, log: Path, expected: dict[str, bytes], tally: Tally
) -> None:
    """The disk has what it lacked: the same command must come to the same files."""
    again = run_to_end(stage.command(disk.folder), log.with_suffix(".again.log"))
    expect_success(again)
    lost = stage.lost(disk.folder, again)
    tally.lose(lost)
    expect(stage.limit is None or lost <= stage.limit, f"{lost} {stage.unit} lost")
    stage.complete(disk.folder)
    expect_same(stage.results(disk.folder), expected)
    expect_no_strays(disk.folder)
