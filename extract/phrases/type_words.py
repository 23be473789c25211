"""One query per entity type: the same words for every tweet, whatever it says.

Source: Zhang et al. 2021, Multi-modal Graph Fusion for Named Entity Recognition with Targeted
Visual Guidance, AAAI (UMGF looks for the four entity types in each image).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extract.phrases.base import PhraseExtractor
from extract.tables.rows import Phrase

VERSION = 1


@dataclass(frozen=True)
class Options:
    """The words."""

    words: tuple[str, ...] = ("person", "location", "organization", "miscellaneous")
    """At least one; none empty, none twice (in any case)."""

    def __post_init__(self) -> None:
        if not self.words or not all(word.strip() for word in self.words):
            raise ValueError(f"words: expected at least one word and none empty, got {self.words}")
        if len({word.casefold() for word in self.words}) < len(self.words):
            raise ValueError(f"words: a word occurs twice: {self.words}")


class Backend(PhraseExtractor):
    """The words of the options; they stand at no token, so their span is empty (0, 0)."""

    def phrases_of_many(
        self, tweets: Sequence[Sequence[str]], sample_ids: Sequence[str]
    ) -> list[list[Phrase]]:
        """Return the words of the options for each tweet."""
        return [
            [Phrase(word, 0, 0, sample_id) for word in self.options.words]
            for _, sample_id in zip(tweets, sample_ids, strict=True)
        ]
