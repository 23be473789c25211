"""What was found out about images by earlier runs, by checksum: none is decoded twice.

The file is a line of JSON that says under which limits and by which decoder, then one
`sha256<TAB>height<TAB>width` a readable image, sorted. Only readable images are listed: a broken
one is tried again. Deleting the file costs time, nothing else.
"""

import json
import logging
import re
import sqlite3
import threading
import time
from pathlib import Path

import PIL
from PIL import features

from extract.core.files import atomic_path
from extract.images.decode import ImageProbe
from extract.images.limits import ImageLimits

logger = logging.getLogger(__name__)

VERSION = "1"
"""Raised when the same bytes may get another size, or become unreadable."""

CODECS = ("jpg", "libjpeg_turbo", "jpg_2000", "zlib", "zlib_ng", "libtiff", "webp")
"""Libraries that decode for Pillow: builds of one Pillow have different ones, or none."""

SAVE_EVERY_S = 30.0

_ROW = re.compile(r"([0-9a-f]{64})\t([1-9][0-9]{0,9})\t([1-9][0-9]{0,9})\n")


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
            "codecs": {name: features.version(name) for name in CODECS},
            "limits": limits.of_decoding(),
        }
        self._lock = threading.Lock()
        # A database in memory: a dictionary of as many checksums takes four times as much.
        self._sizes = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._sizes.execute(
            "CREATE TABLE sizes (sha256 BLOB PRIMARY KEY, height INTEGER, width INTEGER, "
            "is_used INTEGER, is_new INTEGER) WITHOUT ROWID"
        )
        self._read()
        (self._earlier,) = self._sizes.execute("SELECT count(*) FROM sizes").fetchone()
        self._saved = time.monotonic()

    def __len__(self) -> int:
        """Return how many images are known from earlier runs."""
        return self._earlier

    def get(self, sha256: str) -> ImageProbe | None:
        """Return what an earlier run found out about the image with these bytes."""
        with self._lock:
            found = self._sizes.execute(
                "UPDATE sizes SET is_used = 1 WHERE sha256 = ? AND NOT is_new "
                "RETURNING height, width",
                (bytes.fromhex(sha256),),
            ).fetchone()
        return None if found is None else ImageProbe(sha256, *found)

    def add(self, probe: ImageProbe) -> None:
        """Remember a readable image; now and then, the file is written."""
        row = bytes.fromhex(probe.sha256), probe.height, probe.width
        with self._lock:
            self._sizes.execute("INSERT OR REPLACE INTO sizes VALUES (?, ?, ?, 1, 1)", row)
            if time.monotonic() - self._saved > SAVE_EVERY_S:
                self._write(used_only=False)

    def save(self, *, used_only: bool = False) -> None:
        """Write the file, of the images only that were asked for or added where it says so."""
        with self._lock:
            self._write(used_only)

    def _write(self, used_only: bool) -> None:
        self._saved = time.monotonic()
        if self.path is None:
            return
        rows = self._sizes.execute(
            "SELECT sha256, height, width FROM sizes WHERE is_used >= ? ORDER BY sha256",
            (int(used_only),),
        )
        with atomic_path(self.path) as tmp, tmp.open("w", encoding="ascii") as file:
            file.write(json.dumps(self._guard, sort_keys=True) + "\n")
            file.writelines(
                f"{sha256.hex()}\t{height}\t{width}\n" for sha256, height, width in rows
            )

    def _read(self) -> None:
        """Take over the file, unless it is of other limits or damaged, or there is none."""
        if self.path is None or not self.path.is_file():
            return
        with self.path.open(encoding="ascii", errors="replace", newline="\n") as file:
            if file.readline() != json.dumps(self._guard, sort_keys=True) + "\n":
                logger.info("%s is of other limits or another decoder: not used", self.path)
                return
            try:
                self._sizes.execute("BEGIN")
                self._sizes.executemany(
                    "INSERT OR REPLACE INTO sizes VALUES (?, ?, ?, 0, 0)", map(_parse, file)
                )
                self._sizes.execute("COMMIT")
            except ValueError:
                self._sizes.execute("ROLLBACK")
                logger.warning("%s is damaged: not used", self.path)


def _parse(line: str) -> tuple[bytes, int, int]:
    """Return checksum, height and width of a line.

    Raises:
        ValueError: it is no such line.
    """
    row = _ROW.fullmatch(line)
    if row is None:
        raise ValueError(line)
    return bytes.fromhex(row[1]), int(row[2]), int(row[3])
