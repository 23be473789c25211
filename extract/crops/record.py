"""From what the files of a folder of crops were cut: those that are right and whole stay.

The record `.mner_crops` has a line `<seal>  <file name>` for each file. The seal is a checksum of
the file's bytes and of what they follow from: the image's bytes, the pixels cut out, and the
version of the cutting. Lines are added as files are cut, so that a stopped run continues; a run
that comes to its end leaves its own lines alone, in its order.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from extract.core.digests import file_sha256
from extract.core.files import atomic_path
from extract.core.system import named_system_errors
from extract.tables.lazy_table import pack_texts
from extract.tables.text_index import TextIndex

NAME = ".mner_crops"

_NAME_START = 64 + 2
"""Where the file name begins in a line."""


class CropRecord:
    """The record of one folder.

    Args:
        folder: of the crops; a folder without a record has an empty one.
        version: of the cutting.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self._folder, self._version = folder, version
        self._path = folder / NAME
        self._file: BinaryIO | None = None
        # Where the lines of this run begin in the file.
        self._start = 0
        # What a kill left of a last line is the line of no file.
        earlier = pack_texts(self._read_lines())
        self._earlier = TextIndex(earlier) if earlier else None

    @contextmanager
    def open(self) -> Iterator["CropRecord"]:
        """Take new lines in the body of the `with` statement."""
        with named_system_errors(self._path), self._path.open("ab") as self._file:
            # Half a line may stand at the end.
            self._file.write(b"\n")
            self._start = self._file.tell()
            yield self
        self._file = None

    def keep(self, name: str, source_sha256: str, clipped: Iterable[int]) -> bool:
        """Record a file of an earlier run again, if it may stay; within `open`.

        Returns:
            Whether it is there, whole, and what these pixels of this image give.
        """
        if self._earlier is None:
            return False
        try:
            line = self._line(name, source_sha256, clipped)
        except OSError:
            return False
        if line not in self._earlier:
            return False
        self._file.write(f"{line}\n".encode())
        return True

    def add(self, name: str, source_sha256: str, clipped: Iterable[int]) -> None:
        """Record a file that was just written; within `open`."""
        self._file.write(f"{self._line(name, source_sha256, clipped)}\n".encode())
        self._file.flush()

    def names(self) -> Iterator[str]:
        """Yield the files that this run kept or added, in its order; after `open`."""
        return (line[_NAME_START:] for line in self._read_lines())

    def rewrite(self) -> None:
        """Leave the lines of this run alone; after `open`."""
        with (
            atomic_path(self._path) as tmp,
            self._path.open("rb") as lines,
            tmp.open("wb") as kept,
        ):
            lines.seek(self._start)
            shutil.copyfileobj(lines, kept)
        self._start = 0

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines from where this run's begin, all of them before it has begun."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._start)
            for line in file:
                yield line.decode("utf-8", "replace").removesuffix("\n")

    def _line(self, name: str, source_sha256: str, clipped: Iterable[int]) -> str:
        made_from = [self._version, source_sha256, list(clipped), file_sha256(self._folder / name)]
        return f"{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()}  {name}"
