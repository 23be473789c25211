"""What was found out about images by earlier runs, by checksum: none is decoded twice.

The file is a line of JSON that says under which limits and by which decoder, then one
`sha256<TAB>height<TAB>width` a readable image, sorted. Only readable images are listed: a broken
one is tried again. Deleting the file costs time, nothing else.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Collection
from pathlib import Path

import PIL

from extract.atomic import atomic_path
from extract.image_limits import ImageLimits
from extract.images import ImageProbe

logger = logging.getLogger(__name__)

VERSION = "1"
"""Raised when the same bytes may get another size, or become unreadable."""

SAVE_EVERY_S = 30.0

_ROW = re.compile(r"([0-9a-f]{64})\t([1-9][0-9]{0,9})\t([1-9][0-9]{0,9})")


class ProbeCache:
    """Sizes of the images that are known to be readable; safe from any thread.

    Args:
        path: of the file; None keeps nothing.
        limits: under which the images are decoded now.
    """

    def __init__(self, path: Path | None, limits: ImageLimits) -> None:
        self.path = path
        self._guard = {
            "version": VERSION,
            "pillow": PIL.__version__,
            "limits": limits.of_decoding(),
        }
        self._sizes = self._read()
        self._lock = threading.Lock()
        self._saved = time.monotonic()

    def __len__(self) -> int:
        return len(self._sizes)

    def get(self, sha256: str) -> ImageProbe | None:
        """Return what is known of the image with these bytes."""
        size = self._sizes.get(sha256)
        return None if size is None else ImageProbe(sha256, *size)

    def add(self, probe: ImageProbe) -> None:
        """Remember a readable image; now and then, the file is written."""
        with self._lock:
            self._sizes[probe.sha256] = (probe.height, probe.width)
            if time.monotonic() - self._saved > SAVE_EVERY_S:
                self._write()

    def save(self, only: Collection[str] | None = None) -> None:
        """Write the file, of these checksums only where they are given."""
        with self._lock:
            if only is not None:
                self._sizes = {key: self._sizes[key] for key in only if key in self._sizes}
            self._write()

    def _write(self) -> None:
        self._saved = time.monotonic()
        if self.path is None:
            return
        with atomic_path(self.path) as tmp, tmp.open("w", encoding="ascii") as file:
            file.write(json.dumps(self._guard, sort_keys=True) + "\n")
            for sha256, (height, width) in sorted(self._sizes.items()):
                file.write(f"{sha256}\t{height}\t{width}\n")

    def _read(self) -> dict[str, tuple[int, int]]:
        """Return checksum -> (height, width); empty for a file of other limits, or no such file."""
        if self.path is None or not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="ascii", errors="replace").split("\n")
        if lines[0] != json.dumps(self._guard, sort_keys=True):
            logger.info("%s is of other limits or another decoder: not used", self.path)
            return {}
        rows = [_ROW.fullmatch(line) for line in lines[1:-1]]
        if lines[-1] or not all(rows):
            logger.warning("%s is damaged: not used", self.path)
            return {}
        return {row[1]: (int(row[2]), int(row[3])) for row in rows if row}
