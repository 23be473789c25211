"""Which machine this is, for names and locks on a file system that several machines share."""

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

# Processes of one boot and one container have numbers that differ; of two they may be equal.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@cache
def host_tag() -> str:
    """Return 8 hex digits of this machine, boot and process namespace; they name none of these."""
    known = [platform.node()]
    # Neither exists outside Linux.
    with suppress(OSError):
        known += [_BOOT_ID.read_text(encoding="ascii").strip(), os.readlink(_PID_NAMESPACE)]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]
