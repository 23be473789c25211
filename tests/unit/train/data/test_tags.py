"""Tag schemes: BIO to BIOES and back, spans, tag lists."""

import random

import pytest

from extract.tables.tags import bio_to_bioes, bioes_to_bio, entity_spans, split_tag, tag_set


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        (["B-PER", "I-PER", "O"], [("PER", 0, 2)], [("PER", 0, 2)]),
        (["O", "I-PER", "I-PER"], [("PER", 1, 3)], []),
        (["B-PER", "I-LOC", "I-LOC"], [("PER", 0, 1), ("LOC", 1, 3)], [("PER", 0, 1)]),
        (["B-PER", "B-PER"], [("PER", 0, 1), ("PER", 1, 2)], [("PER", 0, 1), ("PER", 1, 2)]),
        ([], [], []),
    ],
)
def test_spans(tags, lenient, strict) -> None:
    assert entity_spans(tags) == lenient
    assert entity_spans(tags, strict=True) == strict


def test_bioes_keeps_the_entities() -> None:
    rng = random.Random(3)
    for _ in range(300):
        tags = rng.choices(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], k=rng.randint(0, 8))
        there = bio_to_bioes(tags)
        back = bioes_to_bio(there)
        assert entity_spans(back) == entity_spans(tags)
        assert entity_spans(back, strict=True) == entity_spans(tags)
        assert len(there) == len(tags)


def test_bioes_of_long_and_single_entities() -> None:
    assert bio_to_bioes(["B-X", "I-X", "I-X", "O", "B-Y"]) == ["B-X", "I-X", "E-X", "O", "S-Y"]
    assert bioes_to_bio(["I-X", "E-X", "E-X", "S-X", "I-Y"]) == [
        *("B-X", "I-X", "B-X", "B-X", "B-Y"),
    ]


def test_tag_sets() -> None:
    assert tag_set(["PER", "LOC"]) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert len(tag_set(["PER", "LOC"], "bioes")) == 9
    assert split_tag("B-PER-X") == ("B", "PER-X") and split_tag("O") == ("O", "")
