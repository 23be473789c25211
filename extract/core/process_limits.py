"""Limits of this process that the system enforces (setrlimit(2)) where Python cannot."""

import math
import resource


def allow_seconds(seconds: int) -> None:
    """Allow so much more processor time, plus what is left of a second; then SIGXCPU ends it.

    Less where the system limits the process as a whole (`ulimit -t`): then up to a second before it
    would be killed without a word.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    set_soft_limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + seconds)


def set_soft_limit(kind: int, wanted: int) -> None:
    """Set the limit of one of the kinds of `resource`, below what the process may set at all."""
    _, hard = resource.getrlimit(kind)
    soft = wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, hard - 1))
    resource.setrlimit(kind, (soft, hard))
