"""What every phrase backend offers: tweet tokens in, queries with token offsets out.

One backend = one file with `VERSION`, a frozen dataclass `Options` and a class `Backend`. A query
is what grounders look for in the tweet's image: a noun phrase, a noun, or a word for an entity
type. Backends with a tagger share TaggingBackend; the rules for hashtags, handles, URLs and emoji
are in extract/phrases/tweets.py and are the same for all of them.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from extract.core.errors import ConfigError
from extract.phrases.chunking import (
    ChunkOptions,
    Span,
    compile_grammar,
    grammar_spans,
    noun_spans,
    split_spans,
)
from extract.phrases.closed_classes import CALENDAR
from extract.phrases.tweets import Word, tweet_words
from extract.tables.rows import Phrase


class PhraseExtractor(ABC):
    """Base of all phrase backends.

    Args:
        options: the module's frozen `Options`.
    """

    roles: ClassVar[tuple[str, ...]] = ()
    """Weights it loads, by role; at most one for a phrase backend."""

    def __init__(self, options: Any) -> None:
        self.options = options

    def load(self, weights: Path | None) -> None:
        """Open the model; called once, before any tweet.

        Raises:
            ConfigError: weights are given to a backend that has none.
        """
        if weights is not None:
            raise ConfigError(f"phrases: this backend loads no weights, got {weights}.")

    def phrases(self, tokens: Sequence[str], sample_id: str = "") -> list[Phrase]:
        """Return the queries of one tweet; see phrases_of_many."""
        return self.phrases_of_many([tokens], [sample_id])[0]

    @abstractmethod
    def phrases_of_many(
        self, tweets: Sequence[Sequence[str]], sample_ids: Sequence[str]
    ) -> list[list[Phrase]]:
        """Return the queries of many tweets.

        Args:
            tweets: the corpus's own tokens.
            sample_ids: one a tweet.

        Returns:
            One list a tweet, without the same text (in any case) twice.
        """


@dataclass(frozen=True)
class Analysis:
    """What a tagger, and perhaps a parser, says of one tweet."""

    tags: Sequence[str]
    """Penn Treebank tags, one a word."""
    noun_chunks: Sequence[Span] | None = None
    """(first, end) word indices, end exclusive; None means: use the chunk grammar."""


class TaggingBackend(PhraseExtractor):
    """Base of the backends that tag the words of a tweet."""

    options: ChunkOptions

    @abstractmethod
    def analyse(self, tweets: Iterable[list[str]]) -> Iterator[Analysis]:
        """Yield what each tweet is, in order; a tweet is its words, and none is empty."""

    def phrases_of_many(
        self, tweets: Sequence[Sequence[str]], sample_ids: Sequence[str]
    ) -> list[list[Phrase]]:
        """Return the noun phrases, or the nouns, of many tweets.

        Args:
            tweets: the corpus's own tokens.
            sample_ids: one a tweet.

        Returns:
            One list a tweet, in token order. A text is its words joined by spaces, without `#` and
            `@`; one that a tweet repeats (in any case) is listed where it first occurs.
        """
        # A backend may read ahead; those that do not keep one tweet in memory, which is faster.
        waiting: deque[tuple[int, list[Word]]] = deque()

        def texts() -> Iterator[list[str]]:
            for i, tokens in enumerate(tweets):
                if words := tweet_words(tokens, handles=self.options.handles):
                    waiting.append((i, words))
                    yield [word.text for word in words]

        found: list[list[Phrase]] = [[] for _ in tweets]
        for analysis in self.analyse(texts()):
            i, words = waiting.popleft()
            found[i] = self._phrases_of(words, analysis, sample_ids[i])
        assert not waiting, "a backend must analyse every tweet"
        return found

    def _phrases_of(self, words: list[Word], analysis: Analysis, sample_id: str) -> list[Phrase]:
        tags = [word.tag or tag for word, tag in zip(words, analysis.tags, strict=True)]
        by_text: dict[str, Phrase] = {}
        for first, end in self._spans(words, tags, analysis):
            texts = [word.text for word in words[first:end]]
            if _names_something(texts):
                text = " ".join(texts)
                phrase = Phrase(text, words[first].start, words[end - 1].end, sample_id)
                by_text.setdefault(text.casefold(), phrase)
        return list(by_text.values())

    def _spans(self, words: list[Word], tags: list[str], analysis: Analysis) -> list[Span]:
        if self.options.query == "nouns":
            return noun_spans(words, tags)
        if analysis.noun_chunks is None:
            return grammar_spans(words, tags, compile_grammar(self.options.grammar))
        return sorted(split_spans(words, tags, analysis.noun_chunks))


def _names_something(texts: Sequence[str]) -> bool:
    """Whether a word has a letter, is longer than one character and is not of the calendar."""
    for text in texts:
        if len(text) > 1 and text.lower() not in CALENDAR and (text.isalpha() or _is_word(text)):
            return True
    return False


def _is_word(text: str) -> bool:
    """Whether a text has a letter and two letters or digits (not `10/6`, `_a`), nor is `3rd`."""
    has_letter = any(char.isalpha() for char in text)
    is_ordinal = text[:-2].isdigit() and text[-2:].lower() in ("st", "nd", "rd", "th")
    return has_letter and not is_ordinal and sum(char.isalnum() for char in text) > 1
