"""Which of the processes that torch's launchers started this one is; known before they connect."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def launched_processes() -> int:
    """Return how many processes were started to compute together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the one that checks and writes; a lone one is, whatever its rank."""
    return launched_processes() == 1 or int(os.environ.get("RANK", "0")) == 0


def end_with_launcher() -> None:
    """Let the system kill this process when its launcher dies, where there is one.

    Launchers start each process in a session of its own, which no signal to their own group
    reaches: without this a killed training goes on. Linux alone can do it.
    """
    if launched_processes() > 1 and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
