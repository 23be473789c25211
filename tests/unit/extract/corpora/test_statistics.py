"""Entities and counts against cases counted by hand."""

import pytest

from extract.corpora.statistics import count_orphans, describe_split
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans, is_orphan


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        ("", [], []),
        ("O O", [], []),
        ("B-PER", [("PER", 0, 1)], [("PER", 0, 1)]),
        ("B-PER I-PER O", [("PER", 0, 2)], [("PER", 0, 2)]),
        ("B-PER B-PER", [("PER", 0, 1), ("PER", 1, 2)], [("PER", 0, 1), ("PER", 1, 2)]),
        ("B-PER I-LOC", [("PER", 0, 1), ("LOC", 1, 2)], [("PER", 0, 1)]),
        ("O I-PER I-PER", [("PER", 1, 3)], []),
        ("I-PER", [("PER", 0, 1)], []),
        ("I-PER I-LOC I-LOC B-LOC", [("PER", 0, 1), ("LOC", 1, 3), ("LOC", 3, 4)], [("LOC", 3, 4)]),
        ("B-A O I-A", [("A", 0, 1), ("A", 2, 3)], [("A", 0, 1)]),
        ("B-A I-B I-A", [("A", 0, 1), ("B", 1, 2), ("A", 2, 3)], [("A", 0, 1)]),
    ],
)
def test_entities_by_hand(tags: str, lenient: list, strict: list) -> None:
    assert entity_spans(tags.split()) == lenient
    assert entity_spans(tags.split(), strict=True) == strict


@pytest.mark.parametrize(
    ("before", "tag", "orphan"),
    [
        ("O", "I-PER", True),
        ("B-LOC", "I-PER", True),
        ("B-PER", "I-PER", False),
        ("I-PER", "I-PER", False),
        ("O", "B-PER", False),
        ("B-PER", "O", False),
    ],
)
def test_orphans(before: str, tag: str, orphan: bool) -> None:
    assert is_orphan(before, tag) is orphan


def test_orphans_are_counted_from_the_first_token() -> None:
    assert count_orphans(["I-PER", "I-PER", "I-LOC", "O", "I-LOC", "B-LOC", "I-LOC"]) == 3


status_of = {"a": "ok", "b": "missing"}.__getitem__


def test_counts_by_hand() -> None:
    samples = [
        Sample("1", "a", ["x", "y", "z"], ["B-PER", "I-PER", "B-LOC"], evidence="both"),
        Sample("2", "a", ["x"], ["O"], evidence="text"),
        Sample("3", "b", ["x", "y"], ["O", "I-PER"], evidence="text"),
    ]
    assert describe_split(samples, status_of) == {
        "tweets": 3,
        "tokens": 6,
        "longest": 3,
        # By image, not by tweet.
        "images": {"ok": 1, "missing": 1},
        "entities": 3,
        "types": {"LOC": 1, "PER": 2},
        "b_tags": 2,
        "orphan_i": 1,
        "without_entity": 1,
        "evidence": {"both": 2, "text": 1},
    }


def test_text_without_labels_has_no_entity_counts() -> None:
    counts = describe_split([Sample("1", "a", ["x"])], status_of)
    assert counts == {"tweets": 1, "tokens": 1, "longest": 1, "images": {"ok": 1}}
    assert describe_split([], status_of)["tweets"] == 0
    assert "images" not in describe_split([Sample("1", "a", ["x"])])
