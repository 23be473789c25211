"""Keep freed memory in the process: layers of a network then reuse pages instead of faulting anew.

glibc gives every block above 32 MiB back to the system as soon as it is freed, and a convolution at
224 px frees several a batch. Keeping them makes VGG-16 on a CPU a quarter faster.
"""

import ctypes
import sys

# mallopt(3): parameters of glibc's allocator.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER_TRIM, _MMAP_FROM_BYTES = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Tell the allocator to keep what is freed; return whether this system has such a setting."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        # Another C library, such as musl.
        return False
    settings = ((_TRIM_THRESHOLD, _NEVER_TRIM), (_MMAP_THRESHOLD, _MMAP_FROM_BYTES))
    return all([mallopt(name, value) for name, value in settings])
