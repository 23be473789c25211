"""Caption lists: where the name ends, what a key is, and the real files."""

from pathlib import Path

import pytest

from extract.core.errors import DataError, MissingFileError
from extract.tables.caption_lists import read_caption_list


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "captions.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_names_captions_and_order(tmp_path: Path) -> None:
    text = (
        "1.jpg :a dog\n"
        "16_05_01_367.JPEG :time :ten o'clock\n"
        "\n"
        "1.jpg :  a cat  \r\n"
        "sub/b.png :x\n"
        "v1.2 :no extension\n"
        "c.webp :\n"
        "two words.gif :café"
    )
    assert read_caption_list(write(tmp_path, text)) == {
        "1": ["a dog", "a cat"],
        "16_05_01_367": ["time :ten o'clock"],
        "sub/b": ["x"],
        "v1.2": ["no extension"],
        "c": [""],
        "two words": ["café"],
    }


def test_line_separators_inside_a_caption_do_not_end_it(tmp_path: Path) -> None:
    captions = read_caption_list(write(tmp_path, "1.jpg :a\u2028b\x0bc\n2.jpg :d\n"))
    assert captions == {"1": ["a\u2028b\x0bc"], "2": ["d"]}


def test_a_byte_order_mark_is_no_part_of_the_name(tmp_path: Path) -> None:
    assert read_caption_list(write(tmp_path, b"\xef\xbb\xbf1.jpg :x\n")) == {"1": ["x"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.jpg :a\n2.jpg a dog\n", r"captions.txt:2: expected `name.jpg :caption`, got '2.jpg a"),
        (" :a dog\n", r"captions.txt:1: expected"),
        (b"1.jpg :a\n2.jpg :\xff\n", r"captions.txt:2: not UTF-8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_caption_list(write(tmp_path, text))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.txt"):
        read_caption_list(tmp_path / "nothing.txt")


@pytest.mark.parametrize(("year", "n_lines"), [("2015", 8288), ("2017", 4819)])
def test_the_real_lists_are_read_whole(shared_data: Path, year: str, n_lines: int) -> None:
    captions = read_caption_list(shared_data / f"twitter{year}" / "captions_blip2.txt")
    assert sum(len(of_image) for of_image in captions.values()) == n_lines
    assert not any(name.lower().endswith(".jpg") for name in captions)
