"""Words whose Penn Treebank tag is known whatever a tagger says.

Taggers trained on newspapers take for nouns what tweets write in their own way: slang, closed-class
words in capitals (`THE`, `Are`) and times of day. Only words that are hardly ever names are here.

Source: Ritter et al. 2011, Named Entity Recognition in Tweets: An Experimental Study, EMNLP.
"""

import re
from collections.abc import Mapping

# Known in any case: slang, and pronouns that the Treebank tags as nouns.
_ANY_CASE = {
    "IN": "via vs",
    "PRP": "everyone everybody someone somebody anyone anybody nobody everything something "
    "anything nothing none im ive yall y'all",
    "VB": "gonna wanna gotta gimme lets retweet rt dont cant wont didnt doesnt isnt wasnt "
    "couldnt wouldnt shouldnt arent aint havent thats whats",
    "UH": "lol lmao omg oh hey hi hello wow haha yes yeah yay please pls plz thanks thank thx "
    "thnx congrats congratulations icymi idk smh tbh btw rip r.i.p r.i.p.",
    "RB": "a.m a.m. p.m p.m.",
}
# Known when written exactly so: `U` is a university, `Today` may be a programme, `IT` is a trade.
_AS_WRITTEN = {
    "IN": "w v ft feat cc ht",
    "CC": "n",
    "PRP": "i u y ya It Us",
    "PRP$": "ur",
    "VB": "r",
    "SYM": "x",
    "RB": "am pm today tonight tomorrow yesterday",
}
# Known with a capital; in small letters no tagger takes them for names. Left out, because with a
# capital they are as often names: A (Serie A), Can, Down, May, Off, US, Will.
_CAPITALISED = {
    "DT": "the this these those an all every each both some any no",
    "IN": "of in on at by for from with into onto about after before over under out up through "
    "during against between without within as if because than that",
    "TO": "to",
    "CC": "and or but nor",
    "PRP": "me you he him she we they them mine yours",
    "PRP$": "my your his her its our their",
    "WP": "who whom what",
    "WDT": "which",
    "WRB": "when where why how",
    "VB": "am is are was were be been being has have had having do does did could would should "
    "must shall got",
    "RB": "not just too so very now then here there always never also even still yet again ever",
}
# Names of times. Short forms that are also names of people or papers are left out: Jan, Mar, Sun.
_CALENDAR = (
    "january february march april may june july august september october november december "
    "feb aug sept oct nov dec monday tuesday wednesday thursday friday saturday sunday "
    "today tonight tomorrow yesterday am pm"
)
CALENDAR = frozenset(_CALENDAR.split())
"""Words (in small letters) of which a phrase says only when; no picture shows that."""

_NEGATION = re.compile(r"n['’]t$", re.IGNORECASE)
_CLOCK = re.compile(r"\d+(?:[:.]\d\d)?[ap]m$", re.IGNORECASE)


def _by_word(words_of_tag: Mapping[str, str]) -> dict[str, str]:
    return {word: tag for tag, words in words_of_tag.items() for word in words.split()}


_TAG_IN_ANY_CASE = _by_word(_ANY_CASE)
_TAG_AS_WRITTEN = _by_word(_AS_WRITTEN)
_TAG_CAPITALISED = _by_word(_CAPITALISED)


def known_tag(text: str) -> str | None:
    """Return the tag that a word has whatever a tagger says, or None."""
    lower = text.lower()
    if lower in _TAG_IN_ANY_CASE:
        return _TAG_IN_ANY_CASE[lower]
    if _NEGATION.search(text):
        return "VB"
    if _CLOCK.match(text):
        return "RB"
    if text in _TAG_AS_WRITTEN or text == lower:
        return _TAG_AS_WRITTEN.get(text)
    return _TAG_CAPITALISED.get(lower)
