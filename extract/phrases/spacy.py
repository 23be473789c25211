"""Noun phrases from a spaCy pipeline on disk: noun chunks of its parser, else tags and a grammar.

The Doc is built from the corpus's tokens, so spaCy's tokeniser never runs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from extract.core.errors import ConfigError, DataError, MissingFileError, MissingToolError
from extract.phrases.base import Analysis, TaggingBackend
from extract.phrases.chunking import ChunkOptions, compile_grammar

VERSION = 2

# For pipelines with coarse tags only (a morphologizer): what the grammar needs to tell apart.
_PENN = {
    "NOUN": "NN",
    "PROPN": "NNP",
    "ADJ": "JJ",
    "NUM": "CD",
    "DET": "DT",
    "PRON": "PRP",
    "VERB": "VB",
    "AUX": "VB",
    "ADP": "IN",
    "ADV": "RB",
    "PUNCT": ".",
}


@dataclass(frozen=True)
class Options(ChunkOptions):
    """See ChunkOptions; the grammar is used where the pipeline has no parser."""


class Backend(TaggingBackend):
    """A trained spaCy pipeline, given as a folder written by `nlp.to_disk`."""

    roles: ClassVar[tuple[str, ...]] = ("model",)

    def load(self, weights: Path | None) -> None:
        """Open the pipeline folder.

        Raises:
            ConfigError: no folder is given.
            MissingFileError: the folder is not a pipeline.
        """
        if weights is None:
            raise ConfigError("phrases spacy: give the pipeline's folder (weights, --weights).")
        try:
            import spacy
        except ImportError as error:
            raise MissingToolError(
                "phrases spacy: package 'spacy' is not installed. "
                "Run: pip install '.[text]' (in this project's folder)"
            ) from error
        if not (Path(weights) / "config.cfg").is_file():
            raise MissingFileError(
                f"phrases spacy: {weights} is not a pipeline folder (no config.cfg). Where there "
                "is a network, run: python -m spacy download en_core_web_sm; then give the "
                "folder inside the installed package that has config.cfg."
            )
        compile_grammar(self.options.grammar)
        _check_components(Path(weights))
        self._nlp = spacy.load(Path(weights), exclude=["ner", "lemmatizer"])

    def analyse(self, tweets: Iterable[list[str]]) -> Iterator[Analysis]:
        """Run the pipeline over ready-made words."""
        from spacy.tokens import Doc

        docs = (Doc(self._nlp.vocab, words=words) for words in tweets)
        for doc in self._nlp.pipe(docs):
            yield _analysis(doc)


def _check_components(folder: Path) -> None:
    """See that the components are the folder's own: `source` would import a package or a folder.

    Raises:
        DataError: one is not, or config.cfg is no pipeline's.
    """
    from spacy.util import load_config

    try:
        config = load_config(folder / "config.cfg", interpolate=False)
        components = config.get("components", {})
        foreign = [name for name, block in components.items() if "source" in block]
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"phrases spacy: {folder}/config.cfg is no pipeline's: {error}") from error
    if foreign:
        raise DataError(
            f"phrases spacy: {folder}/config.cfg takes {', '.join(foreign)} from another package "
            "or folder (`source`). Give a pipeline that was written by `nlp.to_disk`."
        )


def _analysis(doc: Any) -> Analysis:
    """Return tags and, where the pipeline parses and knows the language's rules, noun chunks."""
    if doc.has_annotation("TAG"):
        tags = [word.tag_ for word in doc]
    elif doc.has_annotation("POS"):
        tags = [_PENN.get(word.pos_, "X") for word in doc]
    else:
        raise DataError("phrases spacy: the pipeline sets no tags (it needs a tagger).")
    # Without coarse tags spaCy's rules find no chunk, and say nothing.
    has_rules = doc.vocab.get_noun_chunks is not None
    can_chunk = has_rules and doc.has_annotation("DEP") and doc.has_annotation("POS")
    chunks = [(span.start, span.end) for span in doc.noun_chunks] if can_chunk else None
    return Analysis(tags, chunks)
