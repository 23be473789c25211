"""From tokens to the id tensors of a word-based model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from extract.core.errors import DataError
from train.data.word_vectors import PAD_ID, UNK_ID, hashed_vector, normalize_word


@dataclass(frozen=True)
class WordBatch:
    """The ids of a batch; W words, C characters."""

    word_ids: Tensor
    """shape: (B, W), int64, 0 on padding."""
    char_ids: Tensor
    """shape: (B, W, C), int64, 0 on padding."""
    char_lengths: Tensor
    """shape: (B, W), int64, 0 on padding."""


def index_of(symbols: Sequence[str]) -> dict[str, int]:
    """Return symbol -> position.

    Raises:
        DataError: a symbol occurs twice.
    """
    index = {symbol: position for position, symbol in enumerate(symbols)}
    if len(index) != len(symbols):
        twice = next(symbol for symbol, count in Counter(symbols).items() if count > 1)
        raise DataError(f"vocabulary: {twice!r} occurs twice in {len(symbols)} entries")
    return index


class WordIndex:
    """Ids of words and characters for one fixed pair of vocabularies.

    Args:
        words: word vocabulary, `[pad]` and `[unk]` first.
        characters: character vocabulary, `[pad]` and `[unk]` first.
        number_test: see `normalize_word`.
        char_text: `raw` spells the token as it stands, `normalized` its normal form.

    Raises:
        DataError: a vocabulary has an entry twice.
    """

    def __init__(
        self, words: Sequence[str], characters: Sequence[str], *, number_test: str, char_text: str
    ) -> None:
        self.number_test, self.char_text = number_test, char_text
        self._words, self._characters = index_of(words), index_of(characters)

    def normalize(self, token: str) -> str:
        """Return the spelling under which the word is looked up."""
        return normalize_word(token, number_test=self.number_test)

    def word_id(self, token: str) -> int:
        """Return the id of a token's normal form; 1 where it is unknown."""
        return self._words.get(self.normalize(token), UNK_ID)

    def char_ids(self, token: str) -> list[int]:
        """Return the ids of the characters that the character encoder reads."""
        spelling = token if self.char_text == "raw" else self.normalize(token)
        return [self._characters.get(character, UNK_ID) for character in spelling]

    def encode(self, texts: Sequence[Sequence[str]], *, width: int, n_chars: int) -> WordBatch:
        """Return the ids of a batch, words cut after `n_chars` characters.

        Args:
            texts: tokens of each sentence, at most `width`.
            width: W of the result.
            n_chars: C of the result.
        """
        spelled = [[self.char_ids(token)[:n_chars] for token in text] for text in texts]
        rows = [
            [ids + [PAD_ID] * (n_chars - len(ids)) for ids in text]
            + [[PAD_ID] * n_chars] * (width - len(text))
            for text in spelled
        ]
        lengths = [[len(ids) for ids in text] + [0] * (width - len(text)) for text in spelled]
        words = [
            [self.word_id(token) for token in text] + [PAD_ID] * (width - len(text))
            for text in texts
        ]
        return WordBatch(torch.tensor(words), torch.tensor(rows), torch.tensor(lengths))

    def hashed_vectors(self, texts: Sequence[Sequence[str]], *, width: int, dim: int) -> Tensor:
        """Return a vector for each unknown word, NaN elsewhere. # shape: (B, W, dim), float32"""
        vectors = torch.full((len(texts), width, dim), torch.nan)
        for row, text in enumerate(texts):
            for column, token in enumerate(text):
                if self.word_id(token) == UNK_ID:
                    vector = hashed_vector(self.normalize(token), dim)
                    vectors[row, column] = torch.from_numpy(vector)
        return vectors
