"""Slices of tweets, and recall by kind of mention."""

from pathlib import Path

import pytest

from extract.core.errors import DataError
from extract.corpora.mentions import count_seen
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.tables.images_table import ImageRow, write_images
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans
from train.measures.mentions import mention_recall, mentions
from train.measures.metrics import score_slices
from train.measures.slices import slice_order, tweet_slices, usable_images

TWEETS = [
    Sample("a", "1.jpg", ["@ann", "sings"], ["B-PER", "O"], "words"),
    Sample("b", "2.jpg", ["@", "bob", "in", "Rome"], ["O", "B-PER", "O", "B-LOC"], "picture"),
    Sample("c", "3.jpg", ["Rome", "@"], ["B-LOC", "O"], "picture"),
    Sample("d", "1.jpg", ["nothing"], ["O"]),
]


def test_each_slice_has_its_tweets() -> None:
    slices = tweet_slices(TWEETS, {"1.jpg", "3.jpg"})
    assert list(slices.items()) == [
        ("all", [0, 1, 2, 3]),
        ("picture", [1, 2]),
        ("words", [0]),
        ("with_image", [0, 2, 3]),
        ("without_image", [1]),
        ("with_handle", [0, 1]),
        ("without_handle", [2, 3]),
    ]
    assert "with_image" not in tweet_slices(TWEETS)
    assert list(tweet_slices(TWEETS[3:], {"1.jpg"})) == ["all", "with_image", "without_handle"]


def test_slices_are_scored_alone() -> None:
    pred = [["B-PER", "O"], ["O", "O", "O", "B-LOC"], ["B-PER", "O"], ["O"]]
    slices = score_slices(TWEETS, pred, usable_images={"1.jpg", "3.jpg"})
    assert [(slices[n]["n_correct"], slices[n]["n_gold"]) for n in slices] == [
        *((2, 4), (1, 3), (1, 1), (1, 2), (1, 2), (2, 3), (0, 1)),
    ]
    assert slices["without_handle"]["f1"] == 0.0 and slices["with_handle"]["f1"] == 80.0


def test_a_kind_of_evidence_cannot_have_the_name_of_a_slice() -> None:
    with pytest.raises(DataError, match="sample x: evidence 'with_image' is the name of a slice"):
        tweet_slices([Sample("x", "1.jpg", ["w"], ["O"], "with_image")])


def test_order_of_slices() -> None:
    names = ["without_handle", "words", "with_image", "all", "ocr"]
    assert slice_order(names) == ["all", "ocr", "words", "with_image", "without_handle"]


def test_usable_images_are_those_that_can_be_read(tmp_path: Path) -> None:
    def row(name: str, status: str) -> ImageRow:
        size = 1 if status == "ok" else 0
        return ImageRow(name, name, "", size, size, status, "")

    kinds = ("ok", "missing", "unreadable")
    write_images(tmp_path / "images.tsv", [row(kind, kind) for kind in kinds])
    assert usable_images(tmp_path / "images.tsv") == {"ok"}
    write_images(tmp_path / "none.tsv", [row(name, "no_images") for name in "ab"])
    assert usable_images(tmp_path / "none.tsv") is None


def test_recall_by_kind_of_mention() -> None:
    known = mentions([Sample("t", "x", ["ROME", "Bob"], ["B-LOC", "B-LOC"])])
    assert known == {("rome", "LOC"), ("bob", "LOC")}
    pred = [[("PER", 0, 1)], [("PER", 1, 2)], [], []]
    spans = [entity_spans(sample.tags) for sample in TWEETS]
    found = mention_recall(zip(TWEETS, spans, pred, strict=True), known)
    assert found == {
        "handles": {"recall": 100.0, "n_gold": 2},
        "not_handles": {"recall": 0.0, "n_gold": 2},
        "seen": {"recall": 0.0, "n_gold": 2},
        "unseen": {"recall": 100.0, "n_gold": 2},
    }
    assert set(mention_recall([], None)) == {"handles", "not_handles"}


@pytest.mark.parametrize(
    ("corpus", "share", "n_handles"), [("twitter2015", 33.3, 5), ("twitter2017", 53.6, 138)]
)
def test_real_mentions_are_seen_as_often_as_the_field_says(
    shared_data: Path, corpus: str, share: float, n_handles: int
) -> None:
    train, test = (
        list(iter_samples(shared_data / corpus, split, TextSettings()))
        for split in ("train", "test")
    )
    found = score_slices(test, [["O"] * len(s.tokens) for s in test], mentions(train))["all"]
    assert found["seen"]["n_gold"] == count_seen(test, train)["seen"]
    assert 100 * found["seen"]["n_gold"] / found["n_gold"] == pytest.approx(share, abs=0.05)
    assert found["handles"]["n_gold"] == n_handles
    assert found["n_gold"] == found["seen"]["n_gold"] + found["unseen"]["n_gold"]
