"""The CoNLL reader: every dialect that circulates, and an error with file and line for the rest."""

from pathlib import Path
from typing import Any

import pytest

from extract.core.errors import DataError, MissingFileError
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import find_split_file, iter_samples
from extract.tables.samples import Sample


def read(folder: Path, content: str | bytes, split: str = "train", **settings: Any) -> list[Sample]:
    data = content.encode() if isinstance(content, str) else content
    (folder / f"{split}.txt").write_bytes(data)
    return list(iter_samples(folder, split, TextSettings(**settings)))


PLAIN = "IMGID:17_06_1\nRT\tO\nBob\tB-PER\n\nIMGID:0042\nNY\tB-LOC\n"
SAMPLES = [
    Sample("train-00000", "17_06_1", ["RT", "Bob"], ["O", "B-PER"]),
    Sample("train-00001", "0042", ["NY"], ["B-LOC"]),
]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN + "\n",
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n\n",
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n\n", "\n\n\n\n"),
        PLAIN.replace("\n\n", "\n"),
        PLAIN.replace("\n\n", "\n \t\n"),
        "\n\n" + PLAIN,
        PLAIN.replace("IMGID:0042\n", "IMGID:0042\n\n"),
        PLAIN.replace("\t", " "),
        PLAIN.replace("\t", "\t\t"),
        PLAIN.replace("IMGID:", "IMGID: "),
        PLAIN.replace("O\n", "O \n"),
    ],
    ids=[
        "plain", "final blank line", "no final newline", "many final blank lines", "CRLF", "BOM",
        "BOM and CRLF", "doubled blank lines", "no blank lines", "blank lines of spaces",
        "leading blank lines", "blank line after IMGID", "spaces", "two tabs", "space after IMGID:",
        "space at the end",
    ],
)  # fmt: skip
def test_dialects_read_the_same(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == SAMPLES


def test_ids_are_strings(tmp_path: Path) -> None:
    ids = ["0042", "O_3993", "17_06_4705", "1e5", "a.b.jpg", "../up", "日本"]
    content = "".join(f"IMGID:{image_id}\nx\tO\n\n" for image_id in ids)
    samples = read(tmp_path, content, "test")
    assert [sample.image_id for sample in samples] == ids
    assert [sample.id for sample in samples][:2] == ["test-00000", "test-00001"]


@pytest.mark.parametrize("token", ["\u00a0", "\ufe0f", "\u2028", "\u200d", "\x85", "\x1c", "😀"])
def test_tokens_of_odd_characters_are_kept(tmp_path: Path, token: str) -> None:
    """All of them are spaces or line ends to `str.split` or `str.splitlines`, or look empty."""
    (sample,) = read(tmp_path, f"IMGID:1\na\tO\n{token}\tB-PER\nb\tO\n")
    assert sample.tokens == ["a", token, "b"]
    assert sample.tags == ["O", "B-PER", "O"]


def test_types_are_mapped_and_orphans_kept(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, "IMGID:1\nX\tB-OTHER\nY\tI-OTHER\nz\tO\nCole\tI-PER\nA\tI-ORG\n")
    assert sample.tags == ["B-MISC", "I-MISC", "O", "I-PER", "I-ORG"]


def test_types_can_be_chosen(tmp_path: Path) -> None:
    settings = {"entity_types": ("DRUG", "GENE"), "type_map": {"GENES": "GENE"}}
    (sample,) = read(tmp_path, "IMGID:1\na\tB-DRUG\nb\tB-GENES\n", **settings)
    assert sample.tags == ["B-DRUG", "B-GENE"]
    with pytest.raises(DataError, match=r"'B-PER' is not in the tag set \{DRUG, GENE\}"):
        read(tmp_path, "IMGID:1\na\tB-PER\n", **settings)


def test_text_without_labels(tmp_path: Path) -> None:
    expected = [Sample("test-00000", "1", ["New", "York"]), Sample("test-00001", "2", ["x"])]
    content = "IMGID:1\nNew\nYork\n\nIMGID:2\nx\n"
    assert read(tmp_path, content, "test", labels=False) == expected
    # Tags that are there all the same are left out.
    tagged = content.replace("New\nYork", "New\tB-LOC\nYork\tI-LOC")
    assert read(tmp_path, tagged, "test", labels=False) == expected


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("IMGID:1\na\tB-PERS\n", 2, r"tag 'B-PERS' is not in the tag set .*Did you mean 'B-PER'\?"),
        ("IMGID:1\na\tb-per\n", 2, "tag 'b-per' is not in the tag set {PER, LOC, ORG, MISC}"),
        ("IMGID:1\na\tO\nb\tS-PER\n", 3, "tag 'S-PER'"),
        ("IMGID:1\na\tPER\n", 2, "tag 'PER'"),
        ("IMGID:1\na\tB-\n", 2, "tag 'B-'"),
        ("IMGID:1\na\t0\n", 2, "tag '0'"),
        ("IMGID:1\na\tO\nlone\n", 3, "expected 'token<TAB>tag', got one column 'lone'.*labels"),
        ("IMGID:1\n\tO\n", 2, "got one column 'O'"),
        ("IMGID:1\na\tX\tO\n", 2, "expected 2 columns, got 3"),
        ("a\tO\n", 1, "expected 'IMGID:<image id>' before the first token"),
        ("IMGID:1\na\tO\n\nb\tO\n", 4, "expected 'IMGID:<image id>' before the first token"),
        ("IMGID:1\nIMGID:2\na\tO\n", 1, "'IMGID:1' has no token line"),
        ("IMGID:1\na\tO\n\nIMGID:2\n\n\nIMGID:3\nb\tO\n", 4, "'IMGID:2' has no token line"),
        ("IMGID:1\na\tO\n\nIMGID:2\n", 4, "'IMGID:2' has no token line"),
        ("IMGID:\na\tO\n", 1, "'IMGID:' without an image id"),
        ("IMGID:1\na\tO\nb\0c\tO\n", 3, "holds a NUL byte"),
        (b"IMGID:1\na\tO\nb\xff\tO\n", 3, "not UTF-8 .byte 0xff."),
        (b"\xff\xfeI\0M\0", 1, "not UTF-8 .this is UTF-16."),
        ("IMGID:1\ra\tO\r", 1, "holds a carriage return"),
        ("IMGID:\x1f\na\tO\n", 1, "'IMGID:' without an image id"),
        (f"IMGID:{'x' * 1001}\na\tO\n", 1, "an image id of 1001 characters, at most 1000"),
        ("IMGID:1\n" + "a " * 10**6 + "\n", 2, "expected 2 columns, got 1000000: 'a a a a"),
        (f"IMGID:1\na\tB-{'P' * 10**6}\n", 2, "tag 'B-P{58}' is not in the tag set"),
    ],
)
def test_errors_name_file_and_line(
    tmp_path: Path, content: str | bytes, line: int, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path}/train.txt:{line}: ")


def test_messages_do_not_repeat_a_long_line(tmp_path: Path) -> None:
    long = "P" * 10**5
    texts = (f"IMGID:1\n{long}\n", f"IMGID:1\na\tB-{long}\n", f"IMGID:{long}\n", f"{long}\tO\n")
    for text in texts:
        with pytest.raises(DataError) as caught:
            read(tmp_path, text)
        assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_files_with_byte_order_marks_that_were_put_together(tmp_path: Path) -> None:
    """Without tags, the mark and the header would pass for a token."""
    content = "\ufeffIMGID:1\na\n\n\ufeffIMGID:2\n\ufeffb\n"
    samples = read(tmp_path, content, labels=False)
    assert [(s.image_id, s.tokens) for s in samples] == [("1", ["a"]), ("2", ["\ufeffb"])]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"train\.txt: holds no sample"):
        read(tmp_path, content)


def test_the_usual_names_of_splits(tmp_path: Path) -> None:
    for name in ("val.txt", "dev.txt", "valid.txt"):
        (tmp_path / name).touch()
        assert find_split_file(tmp_path, "valid", TextSettings()).name == name
    settings = TextSettings(files={"valid": "other.conll"})
    with pytest.raises(MissingFileError, match=r"tried other\.conll"):
        find_split_file(tmp_path, "valid", settings)
    (tmp_path / "other.conll").touch()
    assert find_split_file(tmp_path, "valid", settings).name == "other.conll"
    (tmp_path / "extra.txt").touch()
    assert find_split_file(tmp_path, "extra", TextSettings()).name == "extra.txt"


def test_a_missing_split_says_where_corpora_come_from(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as caught:
        list(iter_samples(tmp_path, "valid", TextSettings()))
    for part in (str(tmp_path), "'valid'", "valid.txt, dev.txt, val.txt", "data/README.md"):
        assert part in str(caught.value)
