"""Tags of tweet words -> spans of noun phrases, by a chunk grammar or by a parser's noun chunks.

A grammar is nltk.RegexpParser's. One that is a single rule of the kind `NP: {<JJ>*<NN.*>+}` is a
regular expression over the tags, and is run as one; others (strips, splits, several rules) go
through RegexpParser, which gives the same spans about eight times slower.

Source: Bird, Klein and Loper 2009, Natural Language Processing with Python, ch. 7.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from extract.core.errors import ConfigError
from extract.phrases.tweets import NO_PHRASE, Word

# Penn Treebank tags: adjectives and numbers, then at least one noun.
GRAMMAR = "NP: {<CD|JJ.*>*<NN.*>+}"

Span = tuple[int, int]
Chunker = Callable[[Sequence[str]], list[Span]]

_ONE_RULE = re.compile(r"\s*[^:{}\n]+:\s*\{([^{}\n#]+)\}\s*(?:#.*)?")
_LEFT_OUT = re.compile(r"(DT|PDT|WDT|PRP\$?|WP\$?|POS|EX)$")


@dataclass(frozen=True)
class ChunkOptions:
    """What every backend with a tagger can be told."""

    query: Literal["phrases", "nouns"] = "phrases"
    """`phrases`: one query a noun phrase; `nouns`: one a noun, without grammar or parser."""
    grammar: str = GRAMMAR
    """Chunk grammar of nltk.RegexpParser over Penn Treebank tags; each chunk is a phrase."""
    handles: bool = True
    """Whether an @handle is a phrase; the one after RT never is."""


@cache
def compile_grammar(grammar: str) -> Chunker:
    """Return what finds the chunks of a grammar: tags -> (first, end) spans, end exclusive.

    Raises:
        ConfigError: it is not a grammar of nltk.RegexpParser.
    """
    from nltk import RegexpParser

    try:
        parser = RegexpParser(grammar)
    except (ValueError, re.error) as error:
        raise ConfigError(f"phrases: grammar {grammar!r} is not valid: {error}") from error
    return _one_rule_chunker(grammar) or _tree_chunker(parser)


def _one_rule_chunker(grammar: str) -> Chunker | None:
    """Return a chunker that is one regular expression, or None where the grammar is more."""
    from nltk.chunk.regexp import tag_pattern2re_pattern

    rule = _ONE_RULE.fullmatch(grammar)
    if rule is None or not _is_of_whole_tags(rule[1]):
        return None
    chunks = re.compile(tag_pattern2re_pattern(rule[1]))

    def chunk(tags: Sequence[str]) -> list[Span]:
        text = f"<{'><'.join(tags)}>"
        spans, first, seen = [], 0, 0
        for match in chunks.finditer(text):
            start, stop = match.span()
            if start < stop:
                first += text.count("<", seen, start)
                end = first + text.count("<", start, stop)
                spans.append((first, end))
                first, seen = end, stop
        return spans

    return chunk


def _is_of_whole_tags(pattern: str) -> bool:
    """Whether a tag pattern is tags in angle brackets and operators on them, and nothing else.

    RegexpParser takes more, such as a bare `NN`, which can match a part of a tag, and anchors.
    """
    bare = re.sub(r"<(?:[\w$|.*+?,:()-]|\\\W)+>", "", pattern)
    return re.fullmatch(r"[\s()|*+?]*", bare) is not None


def _tree_chunker(parser: Any) -> Chunker:
    def chunk(tags: Sequence[str]) -> list[Span]:
        # RegexpParser reads the tags only, and so gives the positions back.
        try:
            tree = parser.parse(list(enumerate(tags)))
        except ValueError as error:
            raise ConfigError(f"phrases: the grammar cuts through a tag: {error}") from error
        leaves = [part.leaves() for part in tree if not isinstance(part, tuple)]
        return [(part[0][0], part[-1][0] + 1) for part in leaves]

    return chunk


def grammar_spans(words: Sequence[Word], tags: Sequence[str], chunker: Chunker) -> list[Span]:
    """Return the chunks of each group as (first, end) word indices, end exclusive."""
    return [
        (first + a, first + b)
        for first, end in _runs(words, 0, len(words))
        for a, b in chunker(tags[first:end])
    ]


def noun_spans(words: Sequence[Word], tags: Sequence[str]) -> list[Span]:
    """Return each noun, common or proper, as a span of one word."""
    return [
        (i, i + 1)
        for i, tag in enumerate(tags)
        if tag.startswith("NN") and words[i].group != NO_PHRASE
    ]


def split_spans(words: Sequence[Word], tags: Sequence[str], spans: Sequence[Span]) -> list[Span]:
    """Cut a parser's noun chunks to the tweet rules and to what can be looked for in a picture.

    Chunks are cut between groups; determiners and pronouns at their start are left out, and so are
    pieces without a noun.
    """
    pieces = []
    for start, stop in spans:
        for first, end in _runs(words, start, stop):
            while first < end and _LEFT_OUT.match(tags[first]):
                first += 1
            if any(tag.startswith("NN") for tag in tags[first:end]):
                pieces.append((first, end))
    return pieces


def _runs(words: Sequence[Word], start: int, stop: int) -> Iterator[Span]:
    """Yield the maximal (first, end) runs of one group and of words that can be in a phrase."""
    first, group = start, NO_PHRASE
    for i in range(start, stop):
        other = words[i].group
        if other != group:
            if group != NO_PHRASE:
                yield first, i
            first, group = i, other
    if group != NO_PHRASE:
        yield first, stop
