"""Regions -> words: `young blond woman`, attributes first, then the class.

Nothing of this is stored. A region store keeps raw scores from a low threshold up, so the cuts
below can be changed without running a detector again.

Source: Wang et al. 2022, ITA: Image-Text Alignments for Multi-Modal Named Entity Recognition,
sec. 3.1 (local alignment); Zhang et al. 2021, VinVL.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from extract.core.errors import StoreError

if TYPE_CHECKING:
    from extract.tables.rows import StoredItem


def object_phrases(
    item: "StoredItem",
    *,
    score_min: float = 0.2,
    attribute_score_min: float = 0.1,
    attributes_per_object: int | None = None,
) -> list[tuple[str, float]]:
    """Return (phrase, score) of each object of an image, best first.

    The phrase is the attributes, the surest one next to the noun, then the class; where the store
    has texts instead of classes, the text is the noun. Objects without a score (NaN) pass the
    threshold and come last, in the order of the store. An item without rows gives no phrase.

    Args:
        item: rows of a store with labels or text.
        score_min: objects with a lower score are left out.
        attribute_score_min: attributes with a lower score are left out; NaN passes.
        attributes_per_object: the most attributes of one object, surest first; None means all.

    Raises:
        StoreError: the store has neither labels nor text.
    """
    phrases = []
    scores = [math.nan] * item.n_rows if item.scores is None else map(float, item.scores)
    for row, (noun, score) in enumerate(zip(_nouns(item), scores, strict=True)):
        if score < score_min or not noun:
            continue
        attributes = [] if item.attributes is None else item.attributes_of(row)
        sure = [word for word, value in attributes if not value < attribute_score_min]
        words = [*reversed(sure[:attributes_per_object]), noun]
        phrases.append((" ".join(words), score))
    return sorted(phrases, key=lambda pair: (math.isnan(pair[1]), -pair[1]))


def _nouns(item: "StoredItem") -> Sequence[str]:
    """Return the class, or else the text, of each row."""
    if item.labels is not None:
        names = item.vocabulary["labels"]
        return [names[label] for label in item.labels]
    if item.text is None:
        raise StoreError(
            "this store has neither labels nor text, so its rows have no words. Give the store of "
            "a region extractor or of a grounder."
        )
    return [" ".join(text.split()) for text in item.text]
