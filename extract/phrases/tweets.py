"""Tweet tokens -> words that a tagger understands, with the tokens that each stands for.

Each token gets one letter (and is remembered: a corpus repeats itself); the letters of a tweet make
a string, in which one regular expression finds what belongs together.

- URLs (also cut off, also `https : //t . co/x`), emoji, emoticons, symbols, `RT @user`, `MT @user`
  and HTML entities other than `&amp;` are no words. They end a phrase, as punctuation does; so does
  `&`, however it is written (`&amp;`, or `&` `amp` `;`), but that one the tagger sees.
- A hashtag counts as its word (`#NBA` is `NBA`, `# NBA` likewise), is a proper noun whatever the
  tagger says, and begins a new phrase (`#Riga supermarket` is one).
- A handle likewise (`@KingJames`, `@ KingJames`), but is a phrase of its own, or is left out.
- What a tokeniser cut up is one word again: `@The _ Millions`, `U . S .`, `J . K . Rowling`,
  `Dr . King`, `O ' Hare`, `4 th`; contractions become what taggers were trained on (`do` `n't`).
- A quote, bracket or comma at the end of a token ends a phrase there.

A change of these rules changes the phrases of nltk.py, spacy.py and textblob.py: raise `VERSION` in
each of them, so that phrases, and what is made from them, are computed again.
"""

import html
import re
import string
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from extract.phrases.closed_classes import known_tag

NO_PHRASE = -1
"""Group of punctuation and contractions, which are for the tagger only."""

_CACHED_TOKENS = 2**16


class Word(NamedTuple):
    """One word as the tagger sees it."""

    text: str
    """Without `#`, `@`, quotes and brackets."""
    start: int
    """Offset of its first token."""
    end: int
    """Offset after its last token."""
    group: int
    """Words of different groups are never in one phrase; those of NO_PHRASE are in none."""
    tag: str | None = None
    """Its Penn Treebank tag where it is known whatever the tagger says."""


class _Look(NamedTuple):
    """What a token is by itself."""

    letter: str
    text: str = ""
    tag: str | None = None
    opens: bool = False
    """It begins with a quote or bracket."""
    closes: bool = False
    """It ends with punctuation, or is a possessive."""


# Tokens that have a letter of their own. Others are w word, d digits, a title with a full stop,
# n do(n't) or ca(n't), T #hashtag, H @handle, Q a@b, / //t, p punctuation, _ underscores,
# e HTML entity, u URL, emoji and other things without language.
_LETTERS = {
    **{mark: mark for mark in "@#&'.:;"},
    "’": "'",
    "RT": "R",
    "MT": "M",
    "amp": "X",
    **dict.fromkeys(("gt", "lt", "quot", "nbsp"), "x"),
    **dict.fromkeys(("http", "https"), "l"),
    # Ends of contractions; S, D and M may also be initials.
    **dict.fromkeys(("s", "d", "m", "re", "ve", "ll", "RE", "VE", "LL"), "c"),
    **dict.fromkeys("SDM", "C"),
    "t": "t",
    "T": "Z",
    # Initials; I is none at the beginning, only O has an apostrophe, a.m. and p.m. are small.
    **dict.fromkeys("ABCEFGHJKLNPQRUVWXYZ", "i"),
    "I": "I",
    "O": "O",
    **dict.fromkeys("ap", "P"),
    **dict.fromkeys(("th", "st", "nd", "rd", "TH", "ND", "RD"), "o"),
}
_WORD = "[wdoanctiCZOIPxXM]"
_HANDLE = rf"(?:H|@_*{_WORD})(?:_+{_WORD}?)*"
_UNITS = re.compile(
    rf"""
      (?P<words>(?:[wtcoIxX]+|P(?!\.c)|d(?!o)|[iCZ](?!\.)|O(?!\.|'w)|a(?!\.)|n(?!'[tZ])|M(?![H@]))+)
    | (?P<punctuation>[p:;.]|'(?![cCtZ]))
    | (?P<retweet>(?:R|M(?=[H@]))(?:{_HANDLE})? | Q(?:_+{_WORD}?)*)
    | (?P<link>l:?(?:/(?:\.{_WORD})?)? | /(?:\.{_WORD})? | u)
    | (?P<entity>e;? | &x;?)
    | (?P<handle>{_HANDLE})
    | (?P<hashtag>(?:T|\#{_WORD})(?:_+{_WORD})*)
    | (?P<and>&X?;?)
    | (?P<negation>n'[tZ])
    | (?P<clitic>'[cCtZ])
    | (?P<initials>[iCZO]\.(?:[iCZOI]\.)*[iCZO](?!['.]) | [iCZO]\.(?:[iCZOI]\.)+
                  | [iCZO]\.(?={_WORD}) | P\.c\.?)
    | (?P<name>O'w | a\.(?={_WORD}))
    | (?P<ordinal>do)
    | (?P<mark>[@\#_])
    | (?P<word>.)
    """,
    re.VERBOSE,
)
# What taggers were trained on instead of `&amp;` and of the second half of `don't`.
_HEARD = {"and": "&", "negation": "n't"}
_UNSEEN = frozenset({"retweet", "link", "entity", "mark"})

_LINK = re.compile(
    r"https?:|www\.|pic\.twitter\.com|t\.co/|^h(?:t(?:t(?:ps?)?)?)?…|^htt$", re.IGNORECASE
)
_EMOTICON = re.compile(r"(?:[:;=]['\-]?[DPpOo3/\\|]|<3+)$")
_ENTITY = re.compile(r"&(?:amp|gt|lt|quot|nbsp|apos|#\d+);?")
_MARKED = re.compile(r"[^\w$#@]*([#@])(?=\w)")
_ADDRESS = re.compile(r"\w@\w")
# What writers and the corpora's tokenisers leave at the ends of a word: quotes, brackets, "...".
_LEADING = re.compile(r"^[^\w$]+")
_TRAILING = re.compile(r"(?:\.{2,}|[^\w.$%])+$")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s$", re.IGNORECASE)
# Marks at the ends of a token that do not end a phrase.
_INSIDE_PHRASE = frozenset("-+'’.")
_PUNCTUATION = frozenset(string.punctuation)
_TITLE = re.compile(r"Mr|Mrs|Ms|Mt|Dr|Prof|St|Gov|Sen|Rep|Gen|Lt|Col|Sgt|Capt|Cpl|Rev|Fr|Hon|Pres")
# The first halves of `don't`, `can't`, `ain't`.
_NEGATED = re.compile(
    r"(?:ai|are|ca|could|did|do|does|had|has|have|is|must|need|should|was|were|wo|would)n",
    re.IGNORECASE,
)


def tweet_words(tokens: Sequence[str], *, handles: bool = True) -> list[Word]:
    """Return the words of a tweet in token order, without what is no language."""
    looks = [_look(token) for token in tokens]
    words: list[Word] = []
    group = 0
    for unit in _UNITS.finditer("".join([look.letter for look in looks])):
        kind = unit.lastgroup
        first, end = unit.span()
        if kind == "words" or kind == "word":
            for i in range(first, end):
                _, text, tag, opens, closes = looks[i]
                group += opens
                words.append(Word(text, i, i + 1, group, tag))
                group += closes
        elif kind == "punctuation":
            group += 1
            words.append(Word(looks[first].text, first, end, NO_PHRASE))
        elif kind in _UNSEEN:
            group += 1
        elif kind in ("handle", "hashtag"):
            group += 1
            if handles or kind == "hashtag":
                first += looks[first].letter in "@#"
                words.append(Word(_joined(looks[first:end]), first, end, group, "NNP"))
            group += kind == "handle"
        elif kind in ("and", "clitic", "negation"):
            group += 1
            if kind == "negation":
                words.append(Word(looks[first].text[:-1], first, first + 1, NO_PHRASE))
                first += 1
            text = _HEARD.get(kind) or _joined(looks[first:end])
            words.append(Word(text, first, end, NO_PHRASE))
        else:
            text = _joined(looks[first:end])
            tag = "JJ" if kind == "ordinal" else known_tag(text) or "NNP"
            words.append(Word(text, first, end, group, tag))
    return words


def _joined(looks: Sequence[_Look]) -> str:
    return "".join([look.text for look in looks])


@lru_cache(maxsize=_CACHED_TOKENS)
def _look(token: str) -> _Look:
    """Return the letter of a token, its text and, where that is known, its tag."""
    if _LINK.search(token):
        return _Look("u")
    if "&" in token:
        unescaped = _ENTITY.sub(lambda entity: html.unescape(entity[0]), token)
        if unescaped not in (token, "&") and not _has_letter_or_digit(unescaped):
            return _Look("e")
        token = unescaped
    if token in _LETTERS:
        return _Look(_LETTERS[token], token.replace("’", "'"), known_tag(token))
    if marked := _MARKED.match(token):
        text = _POSSESSIVE.sub("", _TRAILING.sub("", token[marked.end() :]))
        return _Look("T" if marked[1] == "#" else "H", text)
    if token.startswith("//") and _has_letter_or_digit(token):
        return _Look("/")
    if _ADDRESS.search(token):
        return _Look("Q")
    return _look_at_word(token)


def _look_at_word(token: str) -> _Look:
    """Return what a token is that is no link, entity, hashtag or handle."""
    bare = _LEADING.sub("", token)
    text = _TRAILING.sub("", bare)
    if not _has_letter_or_digit(text):
        return _Look(_letter_of_symbols(token), token)
    if _EMOTICON.match(token):
        return _Look("u")
    if text == "RT":
        return _Look("R")
    opens = len(bare) < len(token) and token[0] not in _INSIDE_PHRASE
    closes = len(text) < len(bare) and bare[-1] not in _INSIDE_PHRASE
    owner = _POSSESSIVE.sub("", text)
    return _Look(_letter_of(owner), owner, known_tag(owner), opens, closes or owner != text)


def _letter_of_symbols(token: str) -> str:
    if token and set(token) == {"_"}:
        return "_"
    return "p" if token and set(token) <= _PUNCTUATION else "u"


def _letter_of(text: str) -> str:
    if _TITLE.fullmatch(text):
        return "a"
    if _NEGATED.fullmatch(text):
        return "n"
    return "d" if text.isdigit() else "w"


def _has_letter_or_digit(text: str) -> bool:
    return any(char.isalnum() for char in text)
