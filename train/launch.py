"""Which of the processes that torch's launchers started this one is; known before they connect."""

import os


def launched_processes() -> int:
    """Return how many processes were started to compute together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the one that checks and writes; a lone one is, whatever its rank."""
    return launched_processes() == 1 or int(os.environ.get("RANK", "0")) == 0
