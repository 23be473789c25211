"""What every noun-phrase backend offers: tweet tokens in, phrases with token offsets out.

One backend = one file with `VERSION`, a frozen dataclass `Options` and a class `Backend`.
The rules for hashtags, handles, URLs and emoji are in extract/chunking.py and are the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from extract.chunking import ChunkOptions, Word, grammar_spans, split_spans, tweet_words
from extract.errors import ConfigError
from extract.extractors.base import Phrase


@dataclass(frozen=True)
class Analysis:
    """What a tagger, and perhaps a parser, says of one tweet."""

    tags: Sequence[str]
    """Penn Treebank tags, one a word."""
    noun_chunks: Sequence[tuple[int, int]] | None = None
    """(first, end) word indices, end exclusive; None means: use the chunk grammar."""


class PhraseExtractor(ABC):
    """Base of all noun-phrase backends.

    Args:
        options: the module's frozen `Options`.
    """

    roles: ClassVar[tuple[str, ...]] = ()
    """Weights it loads, by role; at most one for a phrase backend."""

    def __init__(self, options: ChunkOptions) -> None:
        self.options = options

    def load(self, weights: Path | None) -> None:
        """Open the model; called once, before any tweet.

        Raises:
            ConfigError: weights are given to a backend that has none.
        """
        if weights is not None:
            raise ConfigError(f"phrases: this backend loads no weights, got {weights}.")

    @abstractmethod
    def analyse(self, tweets: Sequence[list[str]]) -> list[Analysis]:
        """Tag each tweet, given as its words; none is empty."""

    def phrases(self, tokens: Sequence[str], sample_id: str = "") -> list[Phrase]:
        """Return the noun phrases of one tweet in token order, each text once."""
        return self.phrases_of_many([tokens], [sample_id])[0]

    def phrases_of_many(
        self, tweets: Sequence[Sequence[str]], sample_ids: Sequence[str]
    ) -> list[list[Phrase]]:
        """Return the noun phrases of many tweets.

        Args:
            tweets: the corpus's own tokens.
            sample_ids: one a tweet.

        Returns:
            One list a tweet. A phrase's text is its words joined by spaces, without `#` and `@`;
            a text that a tweet repeats (in any case) is listed where it first occurs.
        """
        words = [tweet_words(tokens, handles=self.options.handles) for tokens in tweets]
        spoken = [i for i, row in enumerate(words) if any(word.can_be_phrase for word in row)]
        analyses = self.analyse([[word.text for word in words[i]] for i in spoken])
        found: list[list[Phrase]] = [[] for _ in tweets]
        for i, analysis in zip(spoken, analyses, strict=True):
            found[i] = self._phrases_of(words[i], analysis, sample_ids[i])
        return found

    def _phrases_of(self, words: list[Word], analysis: Analysis, sample_id: str) -> list[Phrase]:
        tags = [
            "NNP" if word.is_name else tag for word, tag in zip(words, analysis.tags, strict=True)
        ]
        if analysis.noun_chunks is None:
            spans = grammar_spans(words, tags, self.options.grammar)
        else:
            spans = split_spans(words, tags, analysis.noun_chunks)
        by_text: dict[str, Phrase] = {}
        for first, end in sorted(spans):
            text = " ".join(word.text for word in words[first:end])
            phrase = Phrase(text, words[first].token, words[end - 1].token + 1, sample_id)
            if _names_something(text):
                by_text.setdefault(text.casefold(), phrase)
        return list(by_text.values())


def _names_something(text: str) -> bool:
    """Whether a text has a letter and is more than one character (not `2010`, `u` or `_`)."""
    return any(char.isalpha() for char in text) and sum(char.isalnum() for char in text) > 1
