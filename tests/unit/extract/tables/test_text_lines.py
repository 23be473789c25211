"""One reading of lines for every text of a corpus."""

import re
from pathlib import Path

import pytest

from extract.core.errors import DataError
from extract.corpora.prepare import read_evidence
from extract.tables.caption_lists import read_caption_list
from extract.tables.text_lines import MAX_LINE, iter_text_lines


def lines(path: Path, data: bytes) -> list[tuple[int, str]]:
    path.write_bytes(data)
    return list(iter_text_lines(path))


def test_lf_and_crlf_end_a_line_and_nothing_else(tmp_path: Path) -> None:
    text = "a\r\nb\u2028c\x85d\x0be\n\n\ufefff\u200b"
    expected = [(1, "a"), (2, "b\u2028c\x85d\x0be"), (3, ""), (4, "\ufefff\u200b")]
    assert lines(tmp_path / "x", text.encode()) == expected
    # A byte order mark is dropped where it is one: at the beginning.
    assert lines(tmp_path / "x", b"\xef\xbb\xbf" + text.encode()) == expected
    assert lines(tmp_path / "x", b"") == []
    assert lines(tmp_path / "x", b"\xef\xbb\xbf") == [(1, "")]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a\nb\xe9\n", 2, "not UTF-8 (byte 0xe9). Convert it to UTF-8."),
        ("a\n".encode("utf-16"), 1, "not UTF-8 (this is UTF-16). Convert it to UTF-8."),
        ("a\nb\n".encode("utf-16-le"), 1, "holds a NUL byte; is this a text file in UTF-8?"),
        # CESU-8 writes a character beyond 16 bits as two halves.
        (b"a\n\xed\xa0\xbd\xed\xb8\x80\n", 2, "not UTF-8 (byte 0xed)"),
        (b"a\nb\0\n", 2, "holds a NUL byte"),
        (b"a\rb\r", 1, "holds a carriage return inside the line. Convert the line ends to LF."),
        (b"a\nb\rc\r\n", 2, "holds a carriage return inside the line"),
        (b"a\n" + b"b" * MAX_LINE + b"\n", 2, f"longer than {MAX_LINE} bytes; is this text?"),
    ],
)
@pytest.mark.parametrize("read", [lambda p: list(iter_text_lines(p)), read_caption_list])
def test_what_is_no_text_is_named_with_its_line(
    tmp_path: Path, data: bytes, line: int, message: str, read
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data.replace(b"a\n", b"a :b\n"))
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}:{line}: {message}')}"):
        read(path)


def test_evidence_is_read_as_every_text(tmp_path: Path) -> None:
    path = tmp_path / "e.tsv"
    path.write_bytes("\ufeffa\u2028b\tpicture\r\nc\x85\twords\r\n".encode())
    assert read_evidence(path) == {"a\u2028b": "picture", "c\x85": "words"}
    path.write_bytes(b"a\tpicture\n\xe9\twords\n")
    with pytest.raises(DataError, match=r"e\.tsv:2: not UTF-8 .byte 0xe9"):
        read_evidence(path)
