"""Sentences as rows of word pieces, for systems that label pieces instead of words.

Every word is tokenised alone and remembered, so a corpus is tokenised once, not once an epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from extract.core.errors import ConfigError
from extract.networks.checkpoints.tokenizer_files import load_word_tokenizer
from train.data.word_tokenizer import piece_ids, save_tokenizer, special_ids


@dataclass(frozen=True)
class PieceBatch:
    """B sentences of at most W words as rows of L pieces: begin, pieces, end, padding."""

    input_ids: Tensor
    """shape: (B, L), int64"""
    attention_mask: Tensor
    """shape: (B, L), bool; true on pieces and on the two special ones."""
    word_of_piece: Tensor
    """shape: (B, L), int64, index of the word; -1 on special pieces and padding."""
    first_piece: Tensor
    """shape: (B, W), int64, position of the word's first piece in its row; -1 when it was cut
    away, has no piece, or is padding."""

    def of_pieces(self, of_words: Tensor, *, elsewhere: float) -> Tensor:
        """Return what each piece inherits from its word, e.g. its tag.

        Args:
            of_words: shape (B, W) or (B, W, ...).
            elsewhere: value on special pieces and padding.

        Returns:
            Shape (B, L) or (B, L, ...).
        """
        rows = torch.arange(len(of_words), device=of_words.device).unsqueeze(1)
        found = of_words[rows, self.word_of_piece.clamp(min=0)]
        outside = (self.word_of_piece < 0).view(*self.word_of_piece.shape, *[1] * (found.dim() - 2))
        return found.masked_fill(outside, elsewhere)


class PieceTable:
    """Word pieces of words, with their alignment.

    Args:
        folder: checkpoint folder in the transformers format (config, tokenizer).
        empty_word: a word without pieces (U+FE0F and the like) becomes the `unk` piece, or is
            left out (`drop`).

    Attributes:
        tokenizer: of transformers.
        specials: ids of the `begin`, `end`, `separator`, `unknown` and `padding` pieces.

    Raises:
        MissingFileError: no such folder, or it holds no config or tokenizer.
        ConfigError: a special piece is missing, or `empty_word` is not legal.
    """

    def __init__(self, folder: Path, *, empty_word: str = "unk") -> None:
        if empty_word not in ("unk", "drop"):
            raise ConfigError(f"empty_word: expected 'unk' or 'drop', got {empty_word!r}")
        self.tokenizer = load_word_tokenizer(Path(folder))
        self.specials = special_ids(self.tokenizer, Path(folder))
        self.empty_word = empty_word
        self._never = frozenset(self.tokenizer.all_special_ids)
        self._pieces: dict[str, tuple[int, ...]] = {}

    def pieces(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the piece ids of each word; an empty tuple only when `empty_word` is `drop`."""
        self._learn(list(dict.fromkeys(word for word in words if word not in self._pieces)))
        return [self._pieces[word] for word in words]

    def encode(
        self, sentences: Sequence[Sequence[str]], *, max_pieces: int, pad_to: int | None = None
    ) -> PieceBatch:
        """Lay out sentences, cut to the longest row that is allowed.

        Args:
            sentences: the words of each.
            max_pieces: longest row, both special pieces included; what is beyond is cut away,
                also in the middle of a word.
            pad_to: width L of every row, at least `max_pieces`; None pads to the longest row.

        Raises:
            ValueError: no room for a piece, or `pad_to` is less than `max_pieces`.
        """
        if max_pieces < 3 or (pad_to is not None and pad_to < max_pieces):
            raise ValueError(f"expected 3 <= max_pieces <= pad_to, got {max_pieces} and {pad_to}")
        self._learn(list(dict.fromkeys(w for s in sentences for w in s if w not in self._pieces)))
        rows, words_of_rows = [], []
        for sentence in sentences:
            pairs = [(i, p) for i, word in enumerate(sentence) for p in self._pieces[word]]
            pairs = pairs[: max_pieces - 2]
            rows.append([self.specials["begin"], *(p for _, p in pairs), self.specials["end"]])
            words_of_rows.append([-1, *(i for i, _ in pairs), -1])
        width = pad_to or max(map(len, rows))
        lengths = torch.tensor([len(row) for row in rows])
        word_of_piece = _padded(words_of_rows, width, -1)
        return PieceBatch(
            input_ids=_padded(rows, width, self.specials["padding"]),
            attention_mask=torch.arange(width)[None] < lengths[:, None],
            word_of_piece=word_of_piece,
            first_piece=_first_pieces(word_of_piece, max(map(len, sentences))),
        )

    def save_assets(self, folder: Path) -> None:
        """Write the tokenizer; config.json, which the constructor wants too, is the encoder's."""
        save_tokenizer(self.tokenizer, folder)

    def _learn(self, words: Sequence[str]) -> None:
        """Tokenise words that were not met before."""
        unknown = self.specials["unknown"]
        found = piece_ids(self.tokenizer, words, self._never, unknown)
        for word, ids in zip(words, found, strict=True):
            self._pieces[word] = ids or ((unknown,) if self.empty_word == "unk" else ())


def _padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Tensor:
    """Return the rows as one tensor. # shape: (B, width)"""
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def _first_pieces(word_of_piece: Tensor, n_words: int) -> Tensor:
    """Return where each word begins, -1 for a word without pieces. # shape: (B, n_words)"""
    n_rows, width = word_of_piece.shape
    # Positions are written from the last to the first; column 0 takes special pieces.
    first = torch.full((n_rows, n_words + 1), width)
    positions = torch.arange(width).expand(n_rows, -1)
    first = first.scatter_reduce(1, word_of_piece + 1, positions, "amin")[:, 1:]
    return first.masked_fill(first == width, -1)
