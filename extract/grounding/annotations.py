"""The corpus's own boxes as a grounder: no detector, exact, and independent of any weights.

An annotated entity and a phrase overlap when their texts share a word that is not a stopword, in
any case (`Dr . Seuss` and `reading Dr`; not `The Who` and `the crowd`). Texts decide, not offsets:
GMNER names the entity of a box by its text only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from extract.extractors.base import Extractor as BaseExtractor
from extract.grounding.base import GROUNDING_OUTPUTS, GroundedRow, order_rows, rows_to_features
from extract.tables.rows import Item, ItemFeatures, Outputs, Phrase, nothing_found

VERSION = 1

_WORD = re.compile(r"[^\W_]+")
_STOPWORDS = frozenset(
    {"a", "an", "and", "as", "at", "by", "de", "for", "from", "in", "is", "it", "la", "le", "my"}
    | {"of", "on", "or", "our", "s", "t", "that", "the", "their", "this", "to", "with", "your"}
)


@dataclass(frozen=True)
class Options:
    """Which annotated boxes are taken."""

    mode: Literal["phrases", "all"] = "phrases"
    """`phrases`: boxes of entities that a noun phrase of the tweet overlaps; `all`: every box."""


class Extractor(BaseExtractor):
    """Annotated boxes, each at most once, in annotation order."""

    gives = "boxes"
    needs = frozenset({"phrases", "annotations"})

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if options.mode == "all":
            self.needs = frozenset({"annotations"})

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Return phrase, box and score; scores are NaN."""
        return GROUNDING_OUTPUTS

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the boxes of each image; the row's text is the phrase, in mode `all` the name."""
        return [self._ground(item) for item in batch]

    def _ground(self, item: Item) -> ItemFeatures:
        if not item.annotations:
            return nothing_found("no annotated box", GROUNDING_OUTPUTS)
        if self.options.mode == "all":
            return rows_to_features([GroundedRow(box.text, box.xyxy) for box in item.annotations])
        if not item.phrases:
            return nothing_found("no phrase", GROUNDING_OUTPUTS)
        rows = []
        for box in item.annotations:
            phrase = best_phrase(box.text, item.phrases)
            if phrase is not None:
                rows.append(GroundedRow(phrase.text, box.xyxy, start=phrase.start))
        if not rows:
            return nothing_found("no annotated box overlaps a phrase", GROUNDING_OUTPUTS)
        return rows_to_features(order_rows(rows))


def best_phrase(name: str, phrases: Sequence[Phrase]) -> Phrase | None:
    """Return the phrase that shares most words with an entity's name, the first of equals.

    None where no phrase shares a word.
    """
    wanted = _words(name)
    shared = [len(wanted & _words(phrase.text)) for phrase in phrases]
    most = max(shared, default=0)
    return phrases[shared.index(most)] if most else None


def _words(text: str) -> frozenset[str]:
    """Return the words that count; a text of stopwords only (`IT`) keeps them."""
    words = frozenset(_WORD.findall(text.casefold()))
    return words - _STOPWORDS or words
