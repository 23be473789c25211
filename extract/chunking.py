"""Tweet tokens -> words that a tagger understands -> spans of noun phrases.

Tokens are never split or joined: every span is in token offsets of the corpus. Rules for tweets:

- URLs, emoji, symbols, `RT @user` and HTML entities (`&amp;`, or `&` `gt` `;`) are in no phrase,
  and the tagger does not see them. They end a phrase, as punctuation does.
- A hashtag counts as its word (`#NBA` is `NBA`, `# NBA` likewise), is taken for a proper noun
  whatever the tagger says, and begins a new phrase (`#Riga supermarket` is one).
- A handle likewise (`@KingJames`, `@ KingJames`), but is a phrase of its own, or is left out with
  the option `handles: false`.
- A contraction that a tokeniser cut off (`'` `re`) is no word.
"""

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from extract.errors import ConfigError

# Penn Treebank tags: adjectives and numbers, then at least one noun.
GRAMMAR = "NP: {<CD|JJ.*>*<NN.*>+}"

_URL = re.compile(r"(https?:|www\.|pic\.twitter\.com|t\.co/)", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;?$")
_ENTITY_NAMES = frozenset({"amp", "gt", "lt", "quot", "nbsp"})
# What writers and the corpora's tokenisers leave at the ends of a word: quotes, brackets, "...".
_LEADING = re.compile(r"^[^\w$]+")
_TRAILING = re.compile(r"(\.{2,}|[^\w.$%])+$")
_CONTRACTIONS = frozenset({"s", "t", "d", "m", "re", "ve", "ll"})
_PUNCTUATION = frozenset(string.punctuation) - frozenset("@#&_")
_LEFT_OUT = re.compile(r"(DT|PDT|WDT|PRP\$?|WP\$?|POS|EX)$")


@dataclass(frozen=True)
class ChunkOptions:
    """What every phrase backend can be told."""

    grammar: str = GRAMMAR
    """Chunk grammar of nltk.RegexpParser over Penn Treebank tags; each chunk is a phrase."""
    handles: bool = True
    """Whether an @handle is a phrase; the one after RT never is."""


@dataclass(frozen=True)
class Word:
    """One token as the tagger sees it."""

    text: str
    """Without `#`, `@`, quotes and brackets."""
    token: int
    """Its token offset."""
    group: int
    """Words of different groups are never in one phrase."""
    can_be_phrase: bool = True
    """False for punctuation, which only helps the tagger."""
    is_name: bool = False
    """True for hashtags and handles: proper nouns whatever the tagger says."""


def tweet_words(tokens: Sequence[str], *, handles: bool = True) -> list[Word]:
    """Return the words of a tweet in token order, without what is no language."""
    words: list[Word] = []
    group = 0
    for index, token in enumerate(tokens):
        kind, text = _classify(tokens, index)
        if kind == "handle" and not handles:
            kind = "noise"
        if kind in ("noise", "handle", "hashtag"):
            group += 1
        if kind == "punctuation":
            words.append(Word(token, index, group, can_be_phrase=False))
        elif kind != "noise":
            words.append(Word(text, index, group, is_name=kind != "word"))
        if kind == "handle":
            group += 1
    return words


def _classify(tokens: Sequence[str], index: int) -> tuple[str, str]:
    """Return (`word`, `hashtag`, `handle`, `punctuation` or `noise`, cleaned text)."""
    token = tokens[index]
    before = tokens[index - 1] if index else ""
    text = _TRAILING.sub("", _LEADING.sub("", token))
    if token == "RT" or _URL.search(token) or _ENTITY.match(token):
        return "noise", ""
    if before == "&" and token in _ENTITY_NAMES:
        return "noise", ""
    if not any(char.isalnum() for char in text):
        is_punctuation = bool(token) and set(token) <= _PUNCTUATION
        return ("punctuation" if is_punctuation else "noise"), ""
    if before in ("'", "’") and token.lower() in _CONTRACTIONS:
        return "punctuation", ""
    if token.startswith("@") or before == "@":
        source = tokens[index - 2] if before == "@" and index > 1 else before
        return ("noise" if source == "RT" else "handle"), text
    if token.startswith("#") or before == "#":
        return "hashtag", text
    return "word", text


@cache
def _parser(grammar: str) -> Any:
    """Return the compiled chunk grammar; nltk's chunker needs no downloaded data."""
    from nltk import RegexpParser

    try:
        return RegexpParser(grammar)
    except (ValueError, re.error) as error:
        raise ConfigError(f"phrases: grammar {grammar!r} is not valid: {error}") from error


def check_grammar(grammar: str) -> None:
    """Compile the grammar.

    Raises:
        ConfigError: it does not compile.
    """
    _parser(grammar)


def grammar_spans(
    words: Sequence[Word], tags: Sequence[str], grammar: str
) -> list[tuple[int, int]]:
    """Return the chunks of each group as (first, end) word indices, end exclusive."""
    spans = []
    for first, end in _runs(words, 0, len(words)):
        # The chunker sees (index, tag): it reads tags only, and so gives the positions back.
        tree = _parser(grammar).parse([(i, tags[i]) for i in range(first, end)])
        for chunk in tree:
            if not isinstance(chunk, tuple):
                leaves = chunk.leaves()
                spans.append((leaves[0][0], leaves[-1][0] + 1))
    return spans


def split_spans(
    words: Sequence[Word], tags: Sequence[str], spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Cut a parser's noun chunks to the tweet rules and to what can be looked for in a picture.

    Chunks are cut between groups; determiners, pronouns and punctuation at their start are left
    out, and so are pieces without a noun.
    """
    pieces = []
    for start, stop in spans:
        for first, end in _runs(words, start, stop):
            while first < end and (_LEFT_OUT.match(tags[first]) or not words[first].can_be_phrase):
                first += 1
            if any(tag.startswith("NN") for tag in tags[first:end]):
                pieces.append((first, end))
    return pieces


def _runs(words: Sequence[Word], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the maximal (first, end) runs of one group and of words that can be in a phrase."""
    first = start
    for i in range(start, stop + 1):
        ends_run = i == stop or (i > first and words[i].group != words[first].group)
        is_break = i < stop and not words[i].can_be_phrase
        if ends_run or is_break:
            if first < i:
                yield first, i
            first = i + 1 if is_break else i
