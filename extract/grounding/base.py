"""What grounders share: the order of boxes, and boxes -> rows of a grounding store.

A grounder is an extractor (extract/extractors/base.py) whose items carry noun phrases.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from extract.tables.rows import ItemFeatures, Outputs, Phrase


@dataclass(frozen=True)
class GroundedRow:
    """One box that a phrase was grounded to."""

    text: str
    """The phrase."""
    xyxy: tuple[float, float, float, float]
    """Pixels of the upright image, x2/y2 exclusive."""
    score: float = math.nan
    """NaN where there is none (annotations)."""
    start: int = 0
    """Token offset of the phrase in its sample."""


def order_rows(rows: Sequence[GroundedRow]) -> list[GroundedRow]:
    """Return rows by score descending, then phrase start, then box.

    Rows without a score keep their order (that of the annotation) and come last.
    """
    scored = [row for row in rows if not math.isnan(row.score)]
    unscored = [row for row in rows if math.isnan(row.score)]
    return [*sorted(scored, key=lambda row: (-row.score, row.start, row.xyxy)), *unscored]


def best_rows(
    rows: Sequence[GroundedRow], *, boxes_per_phrase: int, boxes_per_image: int
) -> list[GroundedRow]:
    """Return the rows in order, cut to the best of each phrase, then of the image."""
    kept: list[GroundedRow] = []
    counts: Counter[str] = Counter()
    for row in order_rows(rows):
        counts[row.text] += 1
        if counts[row.text] <= boxes_per_phrase:
            kept.append(row)
    return kept[:boxes_per_image]


def rows_to_features(rows: Sequence[GroundedRow]) -> ItemFeatures:
    """Return the columns of a grounding store: phrase, box and score of each row."""
    return ItemFeatures(
        text=[row.text for row in rows],
        boxes=np.array([row.xyxy for row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row.score for row in rows], np.float32),
    )


def distinct_phrases(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Return each text once (in any case), as it first occurs."""
    by_text: dict[str, Phrase] = {}
    for phrase in phrases:
        by_text.setdefault(phrase.text.casefold(), phrase)
    return list(by_text.values())


GROUNDING_OUTPUTS = Outputs(text=True, boxes=True, scores=True)
"""The columns of every grounding store."""
