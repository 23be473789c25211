"""TSV files of one line an image, with the line index (`.lineidx`) that their readers want.

Lines can be megabytes long and files gigabytes: a file is gone through once to find the lines, and
each line is read again when its turn comes.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from extract.core.errors import DataError, MissingFileError
from extract.core.files import atomic_path

# A hundred boxes with 2,048 values each take 1.1 MB.
MAX_LINE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """Where a line is."""

    path: Path
    number: int
    """From 1."""
    offset: int

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"{self.path}:{self.number}"


def iter_lines(path: Path) -> Iterator[tuple[Line, list[str]]]:
    """Yield (place, columns) of every line that is not blank.

    Raises:
        MissingFileError: no such file.
        DataError: a line is longer than 256 MiB or not UTF-8.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file. Check --source.")
    with Path(path).open("rb") as file:
        number = 0
        while True:
            line = Line(Path(path), number := number + 1, file.tell())
            columns = _read_columns(file, line)
            if columns is None:
                return
            if columns != [""]:
                yield line, columns


def _read_columns(file: BinaryIO, line: Line) -> list[str] | None:
    """Return the columns of the next line, None at the end of the file."""
    data = file.readline(MAX_LINE_BYTES + 1)
    if not data:
        return None
    if len(data) > MAX_LINE_BYTES:
        raise DataError(f"{line.where}: longer than {MAX_LINE_BYTES} bytes; is this a TSV file?")
    try:
        text = data.decode("utf-8-sig" if line.number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{line.where}: not UTF-8 ({error.reason})") from error
    return text.rstrip("\r\n").split("\t")


def key_of(columns: Sequence[str], line: Line, seen: dict[str, Line]) -> str:
    """Return the key of a line and remember its place.

    Raises:
        DataError: the key is empty or was met before.
    """
    key = columns[0].strip()
    if not key:
        raise DataError(f"{line.where}: the first column, the image key, is empty")
    if key in seen:
        raise DataError(f"{line.where}: key {key!r} was already in {seen[key].where}")
    seen[key] = line
    return key


class LineReader:
    """Reads single lines of several files again; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._files: dict[Path, BinaryIO] = {}

    def __enter__(self) -> "LineReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def columns(self, line: Line) -> list[str]:
        """Return the columns of a line that `iter_lines` found."""
        if line.path not in self._files:
            self._files[line.path] = self._stack.enter_context(line.path.open("rb"))
        file = self._files[line.path]
        file.seek(line.offset)
        columns = _read_columns(file, line)
        if columns is None:
            raise DataError(f"{line.where}: the file became shorter while it was read")
        return columns


def write_tsv(path: Path, rows: Iterable[Sequence[str]]) -> int:
    """Write lines and, beside them, the byte offset of each in `<stem>.lineidx`.

    Returns:
        The number of lines.

    Raises:
        DataError: a column holds a tab or a line break.
    """
    offsets = []
    with (
        atomic_path(path) as tmp,
        atomic_path(path.with_suffix(".lineidx")) as tmp_index,
        tmp.open("wb") as file,
    ):
        for row in rows:
            if any(char in column for column in row for char in "\t\r\n"):
                raise DataError(f"{path}: key {row[0]!r:.60} holds a tab or a line break")
            offsets.append(file.tell())
            file.write("\t".join(row).encode("utf-8") + b"\n")
        tmp_index.write_text("".join(f"{offset}\n" for offset in offsets), encoding="ascii")
    return len(offsets)
