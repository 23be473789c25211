"""Run a command of `python -m extract` in a process of its own and kill it on the way."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from extract.__main__ import main
from tests import forked

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 120
TRIALS = 4


def kill_on_the_way(
    arguments: Sequence[object], *, is_under_way: Callable[[], bool], leaves: Path, seed: str
) -> None:
    """Start a command and SIGKILL it a random moment after `is_under_way`.

    Args:
        arguments: of `python -m extract`.
        is_under_way: looked at again and again while the command runs.
        leaves: file or folder that the command leaves when it ends; removed when it came to that
            before the kill, which is then tried anew.
        seed: of the moments.
    """
    rng = random.Random(seed)
    for _ in range(TRIALS):
        if _is_killed(arguments, is_under_way, rng.uniform(0, 0.004)):
            return
        if leaves.is_dir():
            shutil.rmtree(leaves)
        else:
            leaves.unlink()
    raise AssertionError(f"{arguments[0]} ended before it could be killed, {TRIALS} times")


def _is_killed(
    arguments: Sequence[object], is_under_way: Callable[[], bool], wait_s: float
) -> bool:
    """Return whether the kill came before the end."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = forked.start(
            main, [*map(str, arguments)], output=log, folder=ROOT, environment=environment
        )
        deadline = time.monotonic() + TIMEOUT_S
        while child.is_alive() and not is_under_way() and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(wait_s)
        is_late = time.monotonic() > deadline
        child.kill()
        child.join()
        assert not is_late and child.exitcode in (0, -signal.SIGKILL), log.read_text()
    return child.exitcode != 0
