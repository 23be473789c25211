"""Noun phrases from NLTK: averaged perceptron tagger and a chunk grammar.

The tagger's three JSON files are looked for along `NLTK_DATA`; nothing is downloaded.

Source: Bird, Klein and Loper 2009, Natural Language Processing with Python, ch. 7.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import MissingFileError, MissingToolError
from extract.phrases.base import Analysis, TaggingBackend
from extract.phrases.chunking import ChunkOptions, compile_grammar

VERSION = 2

RESOURCE = "averaged_perceptron_tagger_eng"


@dataclass(frozen=True)
class Options(ChunkOptions):
    """What a query is, the grammar, and whether handles count: see ChunkOptions."""


class Backend(TaggingBackend):
    """NLTK's averaged perceptron tagger and the chunk grammar."""

    def load(self, weights: Path | None) -> None:
        """Open the tagger.

        Raises:
            MissingFileError: the tagger's files are in no folder of `NLTK_DATA`.
        """
        super().load(weights)
        try:
            from nltk.tag.perceptron import PerceptronTagger
        except ImportError as error:
            raise MissingToolError(
                "phrases nltk: package 'nltk' is not installed. "
                "Run: pip install '.[text]' (in this project's folder)"
            ) from error
        compile_grammar(self.options.grammar)
        try:
            self._tagger = PerceptronTagger(lang="eng")
        except LookupError as error:
            raise MissingFileError(
                f"phrases nltk: taggers/{RESOURCE} is in no folder of NLTK_DATA "
                f"({_search_path()}). Where there is a network, run: "
                f"python -m nltk.downloader -d FOLDER {RESOURCE}; then set NLTK_DATA=FOLDER."
            ) from error
        except (OSError, ValueError) as error:
            # A folder of the older, pickled tagger has none of the three; pickles are not read.
            raise MissingFileError(
                f"phrases nltk: taggers/{RESOURCE} has not its three JSON files: {error}"
            ) from error

    def analyse(self, tweets: Iterable[list[str]]) -> Iterator[Analysis]:
        """Tag each word in its sentence."""
        for words in tweets:
            yield Analysis([tag for _, tag in self._tagger.tag(words)])


def _search_path() -> str:
    """Return what `NLTK_DATA` says, the only part of nltk's search path that a user sets."""
    import os

    return f"set to '{os.environ['NLTK_DATA']}'" if os.environ.get("NLTK_DATA") else "not set"
