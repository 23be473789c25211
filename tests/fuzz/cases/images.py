"""Image files at the door: broken, spliced, or made to cost memory and time.

Each is `ok` or `unreadable` with a reason, within its limits; what is `ok` decodes again, to the
same size, where later stages decode it.
"""

import atexit
import random
import time
from pathlib import Path

from extract.images.decode import decode_image
from extract.images.files import UnreadableImage
from extract.images.limits import ImageLimits
from extract.images.probe_pool import ProbePool
from tests.fuzz.memory import peak_of_children_mb
from tests.fuzz.mutations import mutate, splice
from tests.fuzz.pictures import BOMBS, whole_files

NAME = "images"

LIMITS = ImageLimits(max_seconds=3, max_memory_mb=1024)
# The processor is shared: wall time may be several times the processor's.
MAX_WALL_S = 45
# Libraries and the file beside what decoding may take.
MAX_RSS_MB = LIMITS.max_memory_mb + 300

_POOL = ProbePool(LIMITS)
atexit.register(_POOL.__exit__, None, None, None)


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Decode one file."""
    data = _make(rng)
    path = folder / "image"
    path.write_bytes(data)
    started = time.monotonic()
    try:
        probe = _POOL.probe(path)
    except UnreadableImage as error:
        reason = str(error)
        if not reason or not reason.isprintable() or "crashed" in reason:
            return f"reason: {reason!r}"
        return _over_limits(started)
    pixels = probe.height * probe.width
    if not 0 < pixels <= LIMITS.max_pixels:
        return f"{probe} passed the limit of pixels"
    image = decode_image(data)
    if image.size != (probe.width, probe.height) or image.mode != "RGB":
        return f"decodes to {image.size}, {image.mode}; was {probe}"
    return _over_limits(started)


def _make(rng: random.Random) -> bytes:
    draw = rng.random()
    if draw < 0.04:
        return rng.choice(BOMBS)(rng)
    files = list(whole_files().values())
    data = rng.choice(files)
    if draw < 0.2:
        data = splice(data, rng.choice(files), rng)
    return mutate(data, rng) or b"\0"


def _over_limits(started: float) -> str | None:
    """Return a finding when the file took longer, or more memory, than is allowed."""
    seconds = time.monotonic() - started
    if seconds > MAX_WALL_S:
        return f"took {seconds:.0f} s"
    peak_mb = peak_of_children_mb()
    return f"took {peak_mb} MB" if peak_mb > MAX_RSS_MB else None
