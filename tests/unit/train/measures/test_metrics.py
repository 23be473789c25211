"""The scorer: hand-counted cases, spans, slices; `test_scorer_parity.py` has the other scorers."""

import random

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities

from extract.core.errors import ShapeError
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans
from train.measures.mentions import mentions
from train.measures.metrics import (
    Counts,
    compare,
    count_spans,
    count_tags,
    per_tweet_counts,
    score,
    score_slices,
)

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def random_sequences(seed: int, count: int) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(TAGS, k=rng.randint(1, 8)) for _ in range(count)]


def test_right_wrong_type_wrong_boundary_and_missed() -> None:
    gold = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "I-ORG", "O", "B-PER"]
    pred = ["B-PER", "I-PER", "O", "B-ORG", "O", "B-ORG", "O", "O", "O"]
    counts = count_tags(gold, pred)
    assert (counts.n_correct, counts.n_pred, counts.n_gold) == (1, 3, 4)
    assert counts.precision == pytest.approx(100 / 3)
    assert counts.recall == pytest.approx(25.0)
    assert counts.f1 == pytest.approx(200 / 7)


@pytest.mark.parametrize(
    ("gold", "pred", "lenient", "strict"),
    [
        # an orphan I- opens an entity in conlleval's reading, and is nothing in strict IOB2
        (["O", "I-PER"], ["O", "I-PER"], (1, 1, 1), (0, 0, 0)),
        (["O", "I-PER", "I-PER"], ["O", "B-PER", "I-PER"], (1, 1, 1), (0, 1, 0)),
        (["B-PER", "I-LOC"], ["B-PER", "B-LOC"], (2, 2, 2), (1, 2, 1)),
        (["B-PER", "B-PER"], ["B-PER", "I-PER"], (0, 1, 2), (0, 1, 2)),
        (["O"], ["O"], (0, 0, 0), (0, 0, 0)),
    ],
)
def test_readings_of_invalid_tags(gold, pred, lenient, strict) -> None:
    for is_strict, expected in ((False, lenient), (True, strict)):
        counts = count_spans(*(entity_spans(tags, strict=is_strict) for tags in (gold, pred)))
        assert (counts.n_correct, counts.n_pred, counts.n_gold) == expected


def test_empty_counts_are_zero_not_an_error() -> None:
    assert (Counts().precision, Counts().recall, Counts().f1) == (0.0, 0.0, 0.0)
    empty = score([])
    for name in ("f1", "macro_f1", "weighted_f1", "strict_f1"):
        assert empty[name] == 0.0


def test_spans_equal_those_of_seqeval() -> None:
    for tags in random_sequences(7, 300):
        theirs = [(kind, start, end + 1) for kind, start, end in get_entities(tags)]
        assert entity_spans(tags) == theirs


def test_per_tweet_counts_add_up_and_lengths_are_checked() -> None:
    gold, pred = [["B-PER", "O"], ["B-LOC"]], [["B-PER", "B-LOC"], ["O"]]
    np.testing.assert_array_equal(per_tweet_counts(gold, pred), [[1, 2, 1], [0, 0, 1]])
    with pytest.raises(ShapeError, match="sentence 0: 2 gold tags but 1"):
        per_tweet_counts(gold, [["O"], ["O"]])
    with pytest.raises(ShapeError, match="2 gold sentences but 1"):
        per_tweet_counts(gold, pred[:1])


def test_seen_means_surface_and_type_in_training() -> None:
    train = [Sample("t", "x", ["New", "York", "wins"], ["B-LOC", "I-LOC", "O"])]
    known = mentions(train)
    assert known == {("new york", "LOC")}
    test = [
        Sample("a", "x", ["NEW", "York"], ["B-LOC", "I-LOC"]),
        Sample("b", "x", ["New", "York"], ["B-ORG", "I-ORG"]),
        Sample("c", "x", ["York"], ["B-LOC"]),
    ]
    result = score(compare(test, [["B-LOC", "I-LOC"], ["B-LOC", "I-LOC"], ["B-LOC"]]), known)
    assert result["seen"] == {"recall": 100.0, "n_gold": 1}
    assert result["unseen"] == {"recall": 50.0, "n_gold": 2}
    assert "seen" not in score(compare(test, [["O"] * 2, ["O"] * 2, ["O"]]))


def test_gold_that_a_system_did_not_read_is_missed() -> None:
    tags = ["B-PER", *["O"] * 50, "B-LOC", "I-LOC"]
    read = 40
    sample = Sample("a", "x", ["w"] * len(tags), tags)
    result = score(compare([sample], [[*tags[:read], *["O"] * (len(tags) - read)]]))
    assert (result["n_gold"], result["recall"], result["precision"]) == (2, 50.0, 100.0)
    with pytest.raises(ShapeError, match="sentence 0: 53 gold tags but 40"):
        compare([sample], [tags[:read]])


def test_slices_partition_the_samples() -> None:
    samples = [
        Sample("a", "x", ["w"], ["B-PER"], "words"),
        Sample("b", "x", ["w"], ["B-PER"], "picture"),
        Sample("c", "x", ["w"], ["B-LOC"], "picture"),
    ]
    slices = score_slices(samples, [["B-PER"], ["B-LOC"], ["B-LOC"]])
    assert list(slices) == ["all", "picture", "words", "without_handle"]
    assert [slices[kind]["n_samples"] for kind in slices] == [3, 2, 1, 3]
    assert slices["words"]["f1"] == 100.0 and slices["picture"]["f1"] == 50.0
    assert slices["all"]["per_type"]["LOC"]["precision"] == 50.0
    assert slices["without_handle"] == slices["all"]
