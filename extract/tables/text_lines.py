"""Lines of a UTF-8 text file, as every reader of a corpus wants them."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path

from extract.core.errors import DataError, MissingFileError

MAX_LINE = 2**24
"""Bytes of a line: ten million letters are no line of a text that people wrote."""


def iter_jsonl(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield (line number, object) of a JSON-lines file.

    Raises:
        MissingFileError: no such file.
        DataError: a line is not a JSON object.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Run the rule or command that makes it.")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: not UTF-8 ({error.reason})") from error
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not a JSON object ({error.msg})") from error
            except (ValueError, RecursionError) as error:
                # A whole number of thousands of digits, or thousands of brackets.
                raise DataError(f"{path}:{number}: not a JSON object ({error!s:.80})") from error
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: expected a JSON object, got {record!r:.40}")
            if b"\\u" in line:
                _refuse_lone_surrogates(record, f"{path}:{number}")
            yield number, record


def _refuse_lone_surrogates(record: dict, where: str) -> None:
    """Stop at half a character, which JSON can write (\\ud83d) and UTF-8 cannot."""
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise DataError(
            f"{where}: holds {half}, one half of a surrogate pair, which is no character"
        ) from error


def iter_text_lines(path: Path, *, max_bytes: int = MAX_LINE) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end) of a file; one line is in memory at a time.

    Only LF and CRLF end a line: a token may be another separator of Unicode. A byte order mark at
    the beginning is dropped.

    Raises:
        DataError: not UTF-8, a NUL byte, a carriage return inside a line, or a line of more than
            `max_bytes`; the message names file and line.
    """
    with Path(path).open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(max_bytes + 1), b""), start=1):
            if len(raw) > max_bytes:
                raise DataError(f"{path}:{number}: longer than {max_bytes} bytes; is this text?")
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            yield number, _decode(raw, f"{path}:{number}").removesuffix("\n").removesuffix("\r")


def _decode(raw: bytes, where: str) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        what = "this is UTF-16" if utf16 else f"byte {raw[error.start]:#04x}"
        raise DataError(f"{where}: not UTF-8 ({what}). Convert it to UTF-8.") from error
    if "\0" in line:
        raise DataError(f"{where}: holds a NUL byte; is this a text file in UTF-8?")
    if "\r" in line.removesuffix("\n").removesuffix("\r"):
        raise DataError(
            f"{where}: holds a carriage return inside the line. Convert the line ends to LF."
        )
    return line
