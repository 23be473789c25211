"""The two shared tables: what is written is read back, what is broken is named with its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from extract.core.errors import DataError, MissingFileError
from extract.tables.images_table import IMAGE_COLUMNS, ImageRow, read_images, write_images
from extract.tables.rows import STATUS, STATUS_NAMES
from extract.tables.samples import Sample, read_samples, write_samples
from extract.tables.text_lines import iter_jsonl

ROW = ImageRow("a", "images/a.jpg", "0f", 3, 4, "ok")

SAMPLES = [
    Sample("train-00000", "17_06_1", ["RT", "\u00a0", "\u2028", "né 😀"], ["O", "B-PER", "O", "O"]),
    Sample("train-00001", "0042", ["x"], None, "image"),
    Sample("train-00002", "0042", [], []),
    Sample("train-00003", "7", ["x"], ["O"], repaired_tags=["B-PER"]),
]


def test_samples_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new/train.jsonl"
    assert write_samples(path, SAMPLES) == 4
    assert read_samples(path) == SAMPLES
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 5
    assert [sample.gold_after_repairs for sample in SAMPLES[1:]] == [None, [], ["B-PER"]]
    assert [b"repaired_tags" in line for line in lines] == [False, False, False, True, False]
    # Absent fields are left out, and text stays readable.
    assert b"tags" not in lines[1]
    assert "né 😀".encode() in lines[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a JSON object"),
        ("[1]", r"expected a JSON object, got \[1\]"),
        ("", "not a JSON object"),
        ('{"id": "1", "image_id": "a"}', "missing 1 required positional argument: 'tokens'"),
        ('{"id": "1", "image_id": "a", "tokens": [], "x": 1}', "unexpected keyword argument 'x'"),
        ('{"id": "1", "image_id": "a", "tokens": ["x"], "tags": []}', "1 tokens but 0 tags"),
        (
            '{"id": "1", "image_id": "a", "tokens": ["x"], "repaired_tags": ["O", "O"]}',
            "1 tokens but 2 repaired_tags",
        ),
        (b'{"id": "\xff"}', "not UTF-8"),
    ],
)
def test_broken_samples_are_named(tmp_path: Path, line: str | bytes, message: str) -> None:
    path = tmp_path / "s.jsonl"
    write_samples(path, SAMPLES[:1])
    with path.open("ab") as file:
        file.write((line.encode() if isinstance(line, str) else line) + b"\n")
    with pytest.raises(DataError, match=message) as caught:
        read_samples(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_json_lines_are_numbered_from_one(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\r\n{"b": 2}', newline="")
    assert list(iter_jsonl(tmp_path / "x.jsonl")) == [(1, {"a": 1}), (2, {"b": 2})]


def test_images_are_read_back(tmp_path: Path) -> None:
    rows = [
        ROW,
        ImageRow('odd "quoted"\tid\nof two lines', "x", "1", 1, 1, "ok"),
        ImageRow("日本/😀", "", "", 0, 0, "missing", 'why: "not" there, né'),
        ImageRow("0042", "b", "", 0, 0, "unreadable", "broken\r\nimage"),
        ImageRow("1e5", "", "", 0, 0, "no_images", ""),
    ]
    assert write_images(tmp_path / "images.tsv", rows) == 5
    assert read_images(tmp_path / "images.tsv") == rows
    plain = (tmp_path / "images.tsv").read_bytes().split(b"\n")
    assert plain[0].decode().split("\t") == list(IMAGE_COLUMNS)
    assert plain[1] == b"a\timages/a.jpg\t0f\t3\t4\tok\t"


def test_a_corpus_without_any_image_id(tmp_path: Path) -> None:
    assert write_images(tmp_path / "images.tsv", []) == 0
    assert read_images(tmp_path / "images.tsv") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b\tp\t0\t1\t1\tok", "expected 7 fields, got 6"),
        ("b\tp\t0\t1\t1\tok\t\tmore", "expected 7 fields, got 8"),
        ("", "expected 7 fields, got 0"),
        (f"b\tp\t0\t{'7' * 5000}\t1\tok\t", "height should be a whole number up to 2147483647"),
        ("b\tp\t0\t2147483648\t1\tok\t", "whole number up to 2147483647, got '2147483648'"),
        ("b\tp\t0\tx\t1\tok\t", "height should be a whole number up to 2147483647, got 'x'"),
        ("b\tp\t0\t1\t1.5\tok\t", "width should be a whole number up to 2147483647, got '1.5'"),
        ("b\tp\t0\t1\t-1\tok\t", "width should be a whole number up to 2147483647, got '-1'"),
        ("b\tp\t0\t1\t1\tfine\t", "unknown status 'fine'; known: ok, missing"),
        ("a\tp\t0\t1\t1\tok\t", "image id 'a' occurs twice"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "images.tsv"
    write_images(path, [ROW])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_images(path)
    assert str(caught.value).startswith(f"{path}:3: ")


@pytest.mark.parametrize("content", [b"", b"id\tpath\n", b'{"image_id": "a"}\n'])
def test_another_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"images\.tsv:1: expected columns"):
        read_images(path)
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(DataError, match=r"images\.tsv: not UTF-8 text"):
        read_images(path)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.tsv: .*`dataset`"):
        read_images(tmp_path / "none.tsv")
    with pytest.raises(MissingFileError, match=r"none\.jsonl"):
        read_samples(tmp_path / "none.jsonl")


def test_a_failure_while_writing_leaves_the_old_table(tmp_path: Path) -> None:
    write_images(tmp_path / "images.tsv", [ROW])
    write_samples(tmp_path / "s.jsonl", SAMPLES[:1])

    def broken():
        yield SAMPLES[1]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_samples(tmp_path / "s.jsonl", broken())
    with pytest.raises(AttributeError):
        write_images(tmp_path / "images.tsv", [replace(ROW, image_id="b"), object()])
    assert read_images(tmp_path / "images.tsv") == [ROW]
    assert read_samples(tmp_path / "s.jsonl") == SAMPLES[:1]
    assert len(list(tmp_path.iterdir())) == 2


def test_status_codes_are_those_of_the_format() -> None:
    assert STATUS == {
        "ok": 0, "missing": 1, "unreadable": 2, "nothing_found": 3, "no_images": 4,
    }  # fmt: skip
    assert {STATUS_NAMES[code]: code for code in range(5)} == STATUS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": ' * 100_000, "not a JSON object"),
        ('{"id": ' + "1" * 5000 + "}", "not a JSON object"),
        ('{"id": "s", "image_id": "\\ud83d", "tokens": ["a"]}', r"holds '\\ud83d', one half of a"),
        ('{"id": "s", "image_id": 5, "tokens": ["a"]}', "image_id should be a string, got 5"),
        ('{"id": "s", "image_id": "i", "tokens": "ab"}', "tokens should be a list of strings"),
        ('{"id": "s", "image_id": "i", "tokens": ["a", 1]}', "tokens should be a list of strings"),
        (
            '{"id": "s", "image_id": "i", "tokens": ["a"], "tags": {"O": 1}}',
            "tags should be a list",
        ),
        (
            '{"id": "s", "image_id": "i", "tokens": ["a"], "evidence": 1}',
            "evidence should be a str",
        ),
    ],
)
def test_a_hostile_line_of_samples_is_named(tmp_path: Path, line: str, message: str) -> None:
    whole = '{"id": "s0", "image_id": "\\ud83d\\ude00", "tokens": ["a"]}\n'
    (tmp_path / "x.jsonl").write_text(whole + line + "\n")
    with pytest.raises(DataError, match=rf"x\.jsonl:2: .*{message}"):
        read_samples(tmp_path / "x.jsonl")
