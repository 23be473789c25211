"""Captions that come with a corpus, in the same store format as captions made here."""

from collections.abc import Sequence
from dataclasses import dataclass

from extract.extractors import base
from extract.tables.rows import Item, ItemFeatures, Outputs, nothing_found

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    max_captions: int | None = None
    """How many captions of an image are kept, in file order; None means all."""

    def __post_init__(self) -> None:
        if self.max_captions is not None and self.max_captions < 1:
            raise ValueError(f"max_captions must be at least 1 or null, got {self.max_captions}")


class Extractor(base.Extractor):
    """Text rows from the corpus's caption list; reads no image."""

    gives = "captions"
    needs = frozenset({"captions"})

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Text alone: a list states no scores."""
        return Outputs(text=True)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the captions of each image in file order."""
        return [self._extract_one(item) for item in batch]

    def _extract_one(self, item: Item) -> ItemFeatures:
        captions = [caption for caption in item.captions if caption.strip()]
        captions = captions[: self.options.max_captions]
        if not captions:
            return nothing_found("no caption in the list", self.outputs(self.options))
        return ItemFeatures(text=captions)
