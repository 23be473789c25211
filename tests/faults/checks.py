"""What must hold after a fault, said in words where it does not."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.processes import Ended, members, working_in

DEATH_S = 10
"""A killed process needs a moment, above all while it writes."""

_STRAY = re.compile(r"(\..+\.\d+\.tmp|\.tmp\w{6}|\..+\.lock|.+\.partial|.+\.kept|joined|epoch\d+)")


class Broken(Exception):
    """A check does not hold; the text says which."""


def expect(holds: bool, text: str) -> None:
    """Raise `Broken` unless something holds."""
    if not holds:
        raise Broken(text)


def expect_success(ended: Ended) -> None:
    """The command must have ended with 0."""
    expect(ended.code == 0, f"exit code {ended.code}: {ended.log[-400:]!r}")


def expect_error(ended: Ended, *texts: str) -> None:
    """The command must have ended with 2 and one line that holds these texts, no traceback."""
    expect(ended.code == 2, f"exit code {ended.code} in place of 2: {ended.log[-400:]!r}")
    expect("Traceback" not in ended.log, f"a traceback: {ended.log[-400:]!r}")
    for text in texts:
        expect(text.lower() in ended.error.lower(), f"{text!r} is not in {ended.error!r}")


def expect_lost(lost: int | None, limit: int | None, unit: str) -> None:
    """What was computed again must be a count within the limit; None: nothing is counted."""
    if lost is not None:
        expect(lost >= 0, f"{lost} {unit} lost: the count is wrong")
        expect(limit is None or lost <= limit, f"{lost} {unit} lost, more than {limit}")


def expect_no_processes(group: int) -> None:
    """No process of a group that was killed may be left."""
    _wait_for_none(lambda: members(group), "of the killed group")


def expect_no_processes_in(folder: Path) -> None:
    """No process that works in a folder may be left, of whatever group."""
    _wait_for_none(lambda: working_in(folder), f"that work in {folder.name}")


def _wait_for_none(find: Callable[[], list[str]], which: str) -> None:
    deadline = time.monotonic() + DEATH_S
    while left := find():
        expect(time.monotonic() < deadline, f"processes {which} are left: {left}")
        time.sleep(0.01)


def contents(folder: Path, *patterns: str) -> dict[str, bytes]:
    """Return relative path -> bytes of the files that a pattern finds (default: all)."""
    paths = {path for pattern in patterns or ("**/*",) for path in folder.glob(pattern)}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(paths)
        if path.is_file()
    }


def expect_same(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> None:
    """Two sets of files must be equal, byte for byte."""
    expect(bool(expected), "nothing to compare")
    names = found.keys() ^ expected.keys()
    expect(not names, f"other files: {sorted(names)[:3]}")
    changed = [name for name in expected if found[name] != expected[name]]
    expect(not changed, f"other bytes: {changed[:3]}")


def expect_no_strays(folder: Path) -> None:
    """No temporary file, lock, partial result or training state may be left."""
    strays = [path for path in folder.rglob("*") if _STRAY.fullmatch(path.name)]
    expect(not strays, f"left over: {[path.relative_to(folder).as_posix() for path in strays[:3]]}")
