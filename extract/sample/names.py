"""Invented words for names and handles, made by one generator for everything.

A name says nothing of its type: the type is assigned afterwards. No word comes out twice in a
corpus, so the splits are disjoint by name and by name word.
"""

import random
from collections.abc import Collection

_ONSETS = (
    *("b", "br", "d", "dr", "f", "g", "gl", "k", "kr", "l", "m", "n", "p", "r", "s", "sh"),
    *("st", "t", "th", "tr", "v", "z"),
)
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "n", "r", "l", "x", "s", "nd", "rt", "m", "sk", "v", "z")

# Chance of a name of one, two and three words.
_WORD_COUNTS = ((1, 45), (2, 40), (3, 15))


class NameMaker:
    """Yields words that it never yields twice, alone or as names.

    Args:
        rng: the corpus's generator.
        reserved: lower-case words that must not come out (the words of tweets and captions).
    """

    def __init__(self, rng: random.Random, reserved: Collection[str]) -> None:
        self._rng = rng
        self._used = set(reserved)

    def name(self) -> tuple[str, ...]:
        """Return one new name as its capitalised words."""
        counts, weights = zip(*_WORD_COUNTS, strict=True)
        return tuple(self.word().capitalize() for _ in range(self._rng.choices(counts, weights)[0]))

    def word(self) -> str:
        """Return one new lower-case word of two syllables."""
        while True:
            first = self._rng.choice(_ONSETS) + self._rng.choice(_VOWELS)
            second = self._rng.choice(_ONSETS) + self._rng.choice(_VOWELS)
            word = first + second + self._rng.choice(_CODAS)
            if word not in self._used:
                self._used.add(word)
                return word
