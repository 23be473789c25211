"""From what the files of a folder of crops were cut: those that are right and whole stay.

The record `.mner_crops` has a line `<seal>  <file name>` for each file. The seal is a checksum of
the file's bytes and of what they follow from: the image's bytes, the pixels cut out, and the
version of the cutting. Lines are added as files are cut, so that a stopped run continues.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from extract.atomic import write_text
from extract.file_digest import file_sha256
from extract.system_errors import named_system_errors

NAME = ".mner_crops"

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class CropRecord:
    """The record of one folder.

    Args:
        folder: of the crops; a folder without a record has an empty one.
        version: of the cutting.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self._folder, self._version = folder, version
        self._path = folder / NAME
        self._file: TextIO | None = None
        text = self._path.read_text("utf-8", "replace") if self._path.is_file() else ""
        # What a kill left of a last line is no line, or names no file.
        matches = map(_LINE.fullmatch, text.splitlines())
        self._seals = {match[2]: match[1] for match in matches if match}

    @contextmanager
    def open(self) -> Iterator["CropRecord"]:
        """Take new lines in the body of the `with` statement."""
        with (
            named_system_errors(self._path),
            self._path.open("a", encoding="utf-8") as self._file,
        ):
            # Half a line may stand at the end.
            self._file.write("\n")
            yield self
        self._file = None

    def has(self, name: str, source_sha256: str, clipped: Iterable[int]) -> bool:
        """Return whether a file is there, whole, and what these pixels of this image give."""
        if name not in self._seals:
            return False
        try:
            return self._seals[name] == self._seal(name, source_sha256, clipped)
        except OSError:
            return False

    def add(self, name: str, source_sha256: str, clipped: Iterable[int]) -> None:
        """Record a file that was just written; within `open`."""
        self._seals[name] = self._seal(name, source_sha256, clipped)
        self._file.write(f"{self._seals[name]}  {name}\n")
        self._file.flush()

    def rewrite(self, names: Iterable[str]) -> None:
        """Keep the lines of these files alone, in this order."""
        write_text(self._path, "".join(f"{self._seals[name]}  {name}\n" for name in names))

    def _seal(self, name: str, source_sha256: str, clipped: Iterable[int]) -> str:
        made_from = [self._version, source_sha256, list(clipped), file_sha256(self._folder / name)]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
