"""Regions -> phrases: hand-made rows with the phrases that they must give."""

import math

import numpy as np
import pytest

from extract.core.errors import StoreError
from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.words.object_text import object_phrases

LABELS = ("dog", "traffic light", "woman")
ATTRIBUTES = ("blond", "blonde", "happy", "red", "young")


def stored(rows: list[tuple[int, float, dict[str, float]]]) -> StoredItem:
    """Return an item of (label, score, attribute -> score, best first)."""
    attributes = np.full((len(rows), 16), -1, np.int32)
    scores = np.full((len(rows), 16), np.nan, np.float32)
    for row, (_, _, found) in enumerate(rows):
        for place, (word, score) in enumerate(found.items()):
            attributes[row, place], scores[row, place] = ATTRIBUTES.index(word), score
    return StoredItem(
        status=STATUS["ok"],
        features=np.zeros((len(rows), 2), np.float16),
        scores=np.array([score for _, score, _ in rows], np.float32),
        labels=np.array([label for label, _, _ in rows], np.int32),
        attributes=attributes,
        attribute_scores=scores,
        vocabulary={"labels": LABELS, "attributes": ATTRIBUTES},
    )


def words(item: StoredItem, **options: object) -> list[str]:
    return [phrase for phrase, _ in object_phrases(item, **options)]


WOMAN = stored([(2, 0.9, {"young": 0.7, "happy": 0.3, "red": 0.08})])


def test_the_surest_attribute_stands_next_to_the_class() -> None:
    assert object_phrases(WOMAN) == [("happy young woman", pytest.approx(0.9))]
    assert words(WOMAN, attribute_score_min=0.05) == ["red happy young woman"]
    assert words(WOMAN, attribute_score_min=0.05, attributes_per_object=1) == ["young woman"]
    assert words(WOMAN, attributes_per_object=0) == ["woman"]


def test_objects_are_cut_at_the_threshold_and_best_first() -> None:
    item = stored([(0, 0.21, {}), (1, 0.95, {"red": 0.5}), (2, 0.19, {})])
    assert words(item) == ["red traffic light", "dog"]
    assert words(item, score_min=0.05) == ["red traffic light", "dog", "woman"]
    assert words(item, score_min=0.96) == []


def test_missing_scores_pass_and_keep_their_order() -> None:
    item = stored([(2, math.nan, {"young": math.nan}), (0, 0.3, {}), (1, math.nan, {})])
    assert words(item, score_min=1.0) == ["young woman", "traffic light"]
    found = object_phrases(item)
    assert [phrase for phrase, _ in found] == ["dog", "young woman", "traffic light"]
    assert [math.isnan(score) for _, score in found] == [False, True, True]


def test_texts_are_phrases_where_there_are_no_classes() -> None:
    item = StoredItem(
        status=STATUS["ok"],
        text=("a red  hat", "two dogs", ""),
        boxes=np.zeros((3, 4), np.float32),
        scores=np.array([0.25, math.nan, 0.9], np.float32),
    )
    assert words(item) == ["a red hat", "two dogs"]
    without_scores = StoredItem(status=STATUS["ok"], text=("a", "b"))
    assert words(without_scores) == ["a", "b"]


def test_an_item_without_rows_has_no_phrase() -> None:
    assert object_phrases(stored([])) == []


def test_a_store_without_words_is_refused() -> None:
    with pytest.raises(StoreError, match="neither labels nor text"):
        object_phrases(StoredItem(status=STATUS["ok"], features=np.zeros((1, 2), np.float16)))
