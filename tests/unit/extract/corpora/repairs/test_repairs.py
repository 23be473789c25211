"""The format of label corrections: what is written is read back, what does not fit is named."""

import random
from pathlib import Path
from typing import Any

import pytest

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.corpora.repairs.apply import apply_repairs
from extract.corpora.repairs.effect import describe_effect
from extract.corpora.repairs.format import (
    Correction,
    Repairs,
    SplitIdentity,
    read_repairs,
    repairs_file,
    write_repairs,
)
from extract.tables.samples import Sample
from tests.builders.extract.tagged_tweets import bare, corpus, propose, read_lines, write_lines

TEXTS = {
    "train": ["J . Cole/I-PER sings", "at Texas/B-LOC Tech/I-ORG", "see you"],
    "test": ["the Old/I-LOC Mill/I-LOC"],
}
MANUAL = {
    "split": "train", "position": 2, "image_id": "train_2", "start": 0, "end": 2,
    "before": ["O", "O"], "after": ["B-MISC", "I-MISC"], "reason": "manual",
}  # fmt: skip


@pytest.fixture
def splits() -> dict[str, list[Sample]]:
    return corpus(**TEXTS)


@pytest.fixture
def file(tmp_path: Path, splits: dict[str, list[Sample]]) -> Path:
    """A repair file over TEXTS: line 2 abbreviation, 3 type switch, 4 orphan of test."""
    write_repairs(tmp_path / "toy.jsonl", propose(splits))
    return tmp_path / "toy.jsonl"


def edited(file: Path, line: int, **values: Any) -> Path:
    """Change fields of one line (counted from 1); `None` takes a field away."""
    lines = read_lines(file)
    record = lines[line - 1] | values
    lines[line - 1] = {key: value for key, value in record.items() if value is not None}
    return write_lines(file, lines)


def with_line(file: Path, **values: Any) -> Path:
    """Add a manual correction at the end."""
    text = {"text": "0" * 8}
    return write_lines(file, [*read_lines(file), {**MANUAL, **text, **values}])


def repaired(file: Path, splits: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
    return apply_repairs(read_repairs(file), splits)


def test_a_file_is_read_back_and_holds_no_word(tmp_path: Path, splits, file: Path) -> None:
    repairs = read_repairs(file)
    assert repairs == propose(splits)
    write_repairs(tmp_path / "again.jsonl", repairs)
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()
    words = {token for samples in splits.values() for s in samples for token in s.tokens}
    assert not [w for w in words if len(w) > 3 and w in file.read_text()]


def test_what_is_applied(splits, file: Path) -> None:
    found = repaired(file, splits)
    assert [s.repaired_tags for s in found["train"]] == [
        ["B-PER", "I-PER", "I-PER", "O"],
        ["O", "B-LOC", "B-ORG"],
        None,
    ]
    assert found["test"][0].repaired_tags == ["O", "B-LOC", "I-LOC"]
    # The original gold stays, and nothing else changes.
    assert {split: bare(samples) for split, samples in found.items()} == splits


def test_twice_and_in_any_order_is_the_same(splits, file: Path) -> None:
    once = repaired(file, splits)
    assert repaired(file, once) == once
    header, *lines = read_lines(file)
    random.Random(1).shuffle(lines)
    assert lines != read_lines(file)[1:]
    assert repaired(write_lines(file, [header, *lines]), splits) == once


def test_a_split_that_is_not_read_is_left_out(splits, file: Path) -> None:
    found = repaired(file, {"test": splits["test"]})
    assert list(found) == ["test"] and found["test"][0].repaired_tags is not None


def test_a_correction_of_ones_own(splits, file: Path) -> None:
    text = read_lines(file)[3]["text"]
    with pytest.raises(DataError, match=r"toy\.jsonl:5: train tweet 2 has other tokens"):
        repaired(with_line(file, text=text), splits)
    digest = propose(corpus(x=["see/I-PER you"])).corrections[0].text
    found = repaired(edited(file, 5, text=digest, note="seen by a person"), splits)
    assert found["train"][2].repaired_tags == ["B-MISC", "I-MISC"]
    assert describe_effect(read_repairs(file), found) == {
        "train": {
            "corrections": {"split_abbreviation": 1, "type_switch": 1, "manual": 1},
            "tweets": 3,
            "before": {"entities": 3, "b_tags": 1, "orphan_i": 2},
            "after": {"entities": 4, "b_tags": 4, "orphan_i": 0},
            "entities_lost": 1,
            "entities_new": 2,
        },
        "test": {
            "corrections": {"orphan_inside": 1},
            "tweets": 1,
            "before": {"entities": 1, "b_tags": 0, "orphan_i": 1},
            "after": {"entities": 1, "b_tags": 1, "orphan_i": 0},
            "entities_lost": 0,
            "entities_new": 0,
        },
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_id": "7"}, r"train tweet 0 has the image id 'train_0', expected '7'"),
        (
            {"text": "00000000"},
            r"train tweet 0 has other tokens: .* is \w{8}, expected 0{8}",
        ),
        ({"start": 2, "end": 5}, "train tweet 0 has 4 tokens, the correction ends at 5"),
        (
            {"before": ["O", "O", "I-ORG"]},
            r"train tweet 0, tokens \[0, 3\) have the tags O O I-PER, expected O O I-ORG",
        ),
        (
            {"after": ["O", "O", "I-LOC"]},
            r"leaves I-LOC after O at token 2 of train tweet 0: .* Begin the entity with B-",
        ),
    ],
)
def test_what_does_not_fit_is_named(splits, file: Path, values: dict, message: str) -> None:
    with pytest.raises(DataError, match=rf"toy\.jsonl:2: {message}"):
        repaired(edited(file, 2, **values), splits)


def test_the_token_after_a_correction_must_not_lose_its_entity(splits, file: Path) -> None:
    first = read_lines(file)[3]
    cut = {"start": 1, "end": 2, "before": ["I-LOC"], "after": ["O"]}
    with pytest.raises(DataError, match=r":4: leaves I-LOC after O at token 2 of test tweet 0"):
        repaired(edited(file, 4, **cut), splits)
    # With the second word corrected too, in a line of its own, the first may go.
    rest = {**first, "start": 2, "end": 3, "before": ["I-LOC"], "after": ["B-LOC"]}
    write_lines(file, [*read_lines(file), rest])
    assert repaired(file, splits)["test"][0].repaired_tags == ["O", "O", "B-LOC"]


@pytest.mark.parametrize(
    ("line", "values", "message"),
    [
        (1, {"version": "2.0"}, "expected the header of format 'mner-repairs', version '1.0'"),
        (1, {"splits": None}, "missing key splits"),
        (2, {"after": None}, "missing key after"),
        (2, {"note": "x", "notes": "y"}, "unknown key 'notes'.* Did you mean 'note'"),
        (2, {"reason": "manul"}, "expected one of .* Did you mean 'manual'"),
        (2, {"split": "tran"}, "split 'tran' is not in the header; .* Did you mean 'train'"),
        (2, {"position": 3}, "no tweet 3 in train, which has 3"),
        (2, {"position": -1}, "no tweet -1 in train"),
        (2, {"end": 0}, r"expected 0 <= start < end, got \[0, 0\)"),
        (2, {"end": 2}, r"before: expected 2 tags \(end - start\), got 3"),
        (2, {"after": ["B-PER"]}, "after: expected 3 tags"),
        (2, {"after": ["S-PER", "O", "O"]}, "after: expected O, B-TYPE or I-TYPE, got 'S-PER'"),
        (2, {"after": ["O", "O", "I-PER"]}, "before and after are the same tags"),
        (
            3,
            {"position": 0, "start": 2, "end": 3, "before": ["O"], "after": ["B-LOC"]},
            r"overlaps with the correction of .*toy\.jsonl:2: both change token 2 of train tweet 0",
        ),
    ],
)
def test_a_broken_line_is_named(file: Path, line: int, values: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_repairs(edited(file, line, **values))
    assert str(caught.value).startswith(f"{file}:{line}")


def test_no_header_no_file_no_json(file: Path) -> None:
    write_lines(file, read_lines(file)[1:])
    with pytest.raises(DataError, match=r":1: expected the header .* got format None"):
        read_repairs(file)
    file.write_text("")
    with pytest.raises(DataError, match="empty; expected the header"):
        read_repairs(file)
    file.write_text("{")
    with pytest.raises(DataError, match=r":1: not a JSON object"):
        read_repairs(file)
    with pytest.raises(MissingFileError, match=r"none\.jsonl"):
        read_repairs(file.with_name("none.jsonl"))


@pytest.mark.parametrize(
    "texts",
    [
        {"train": [*TEXTS["train"][:2], "see them"]},
        {"train": [*TEXTS["train"][:2], "see you/B-PER"]},
        {"train": TEXTS["train"][:2]},
        {"train": TEXTS["train"][::-1]},
    ],
    ids=["text", "labels", "cut", "order"],
)
def test_another_corpus_is_refused(file: Path, texts: dict) -> None:
    with pytest.raises(DataError, match=r"toy\.jsonl:1: made for toy: its train has 3 tweets"):
        repaired(file, corpus(**texts))
    with pytest.raises(DataError, match="splits train, test; got 'valid'"):
        repaired(file, corpus(valid=["x"]))


def test_names_of_shipped_files(tmp_path: Path) -> None:
    assert repairs_file("twitter2015_umt").name == "twitter2015_umt.jsonl"
    assert repairs_file("mine.jsonl") == Path("mine.jsonl")
    assert repairs_file("data/mine") == Path("data/mine")
    with pytest.raises(ConfigError, match="Did you mean 'twitter2015_umt'"):
        repairs_file("twitter2015")


def test_shipped_files_fit_the_known_copies() -> None:
    from extract.corpora.audit.known_copies import known_copies

    for copy in known_copies():
        if copy.name in ("umt_twitter2015", "umt_twitter2017"):
            name = f"{copy.name.removeprefix('umt_')}_umt"
            header = read_repairs(repairs_file(name)).header
            assert header.splits == {
                split: SplitIdentity(entry["tweets"], entry["sha256"])
                for split, entry in copy.splits.items()
            }


def test_equal_content_whatever_its_path(splits) -> None:
    repairs = propose(splits)
    moved = Repairs(repairs.header, repairs.corrections, Path("elsewhere.jsonl"))
    assert moved == repairs
    assert all(isinstance(c, Correction) for _, c in moved.placed())
    assert next(where for where, _ in moved.placed()) == "elsewhere.jsonl:2"
