"""Noun phrases from TextBlob's pattern tagger: the lexicon is in the package, nothing to download.

The tagger is the one behind `textblob.en.taggers.PatternTagger`; it is called below that class,
because the class takes a string and splits it again, and drops punctuation.

Source: De Smedt and Daelemans 2012, Pattern for Python, JMLR 13.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import MissingToolError
from extract.phrases.base import Analysis, TaggingBackend
from extract.phrases.chunking import ChunkOptions, compile_grammar

VERSION = 2


@dataclass(frozen=True)
class Options(ChunkOptions):
    """What a query is, the grammar, and whether handles count: see ChunkOptions."""


class Backend(TaggingBackend):
    """TextBlob's pattern tagger and the chunk grammar."""

    def load(self, weights: Path | None) -> None:
        """Read the lexicon of the package."""
        super().load(weights)
        try:
            from textblob.en import parser
        except ImportError as error:
            raise MissingToolError(
                "phrases textblob: package 'textblob' is not installed. "
                "Run: pip install '.[text]' (in this project's folder)"
            ) from error
        compile_grammar(self.options.grammar)
        self._parser = parser

    def analyse(self, tweets: Iterable[list[str]]) -> Iterator[Analysis]:
        """Tag each word by lexicon, capital letter and suffix."""
        # A tag set that find_tags does not know spares a mapping of each tag to itself.
        for words in tweets:
            yield Analysis([tag for _, tag in self._parser.find_tags(words, tagset="unmapped")])
