"""The order of grounded rows, and which of them are kept."""

import math
from itertools import permutations

from extract.grounding.base import GroundedRow, best_rows, distinct_phrases, order_rows
from extract.tables.rows import Phrase


def row(text: str, start: int, x: float, score: float) -> GroundedRow:
    return GroundedRow(text=text, start=start, xyxy=(x, 0.0, x + 1, 1.0), score=score)


def test_rows_are_ordered_by_score_then_phrase_then_box():
    ordered = [
        row("a dog", 5, 9.0, 0.9),
        # The boxes of equal scores lie the other way round than their phrases.
        row("a man", 1, 8.0, 0.5),
        row("a hat", 4, 2.0, 0.5),
        row("a hat", 4, 3.0, 0.5),
        row("a man", 1, 0.0, 0.1),
    ]
    for rows in permutations(ordered):
        assert order_rows(rows) == ordered


def test_rows_without_a_score_come_last_in_the_order_they_came_in():
    first, second = row("b", 7, 5.0, math.nan), row("a", 0, 1.0, math.nan)
    scored = row("c", 9, 0.0, 0.0)
    assert order_rows([first, scored, second]) == [scored, first, second]


def test_the_best_rows_of_each_phrase_and_then_of_the_image_are_kept():
    rows = [row("a", 0, float(x), 0.9 - x / 10) for x in range(3)]
    rows += [row("b", 3, float(x), 0.2 - x / 10) for x in range(2)]
    best = best_rows(rows[::-1], boxes_per_phrase=2, boxes_per_image=3)
    assert best == [rows[0], rows[1], rows[3]]
    assert best_rows(rows, boxes_per_phrase=3, boxes_per_image=2) == rows[:2]


def test_a_phrase_is_asked_for_once_in_any_case_as_it_first_occurs():
    asked = [Phrase("The Dog", 0, 2), Phrase("the dog", 5, 7), Phrase("A cat", 8, 10)]
    assert distinct_phrases(asked) == [asked[0], asked[2]]
