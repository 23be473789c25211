"""A pretrained transformer over words: pieces in, one vector a word out (its first piece's).

Words are tokenised one by one and remembered, so a corpus is tokenised once, not once an epoch.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from extract.networks.checkpoints.reading import load_config
from extract.networks.checkpoints.tokenizer_files import load_word_tokenizer
from train.data.pretrained import load_network
from train.data.word_tokenizer import piece_ids, save_tokenizer, special_ids

logger = logging.getLogger(__name__)

MAX_SUBWORDS = 512

_FLOAT32_ALONE = ("deberta", "deberta-v2")


class Marker(Enum):
    """What may stand among words without being one, so that no tweet can spell it."""

    SEP = "separator"


SEP = Marker.SEP
Word = str | Marker


class TextEncoder(nn.Module):
    """Encode sentences given as words with a BERT-type checkpoint.

    Args:
        folder: checkpoint folder in the transformers format (config, tokenizer, weights) of BERT,
            RoBERTa, XLM-R, MiniLM, BERTweet, ELECTRA, DeBERTa, DistilBERT or the like.
        pretrained: True loads the weights, False builds the network from config.json alone.
        empty_word: what stands for a word without pieces (U+FE0F and the like): the vector of the
            `unk` piece, or a `zero` vector.
        max_subwords: longest input with both special pieces; longer sentences are read in
            overlapping windows. Never more than the network has positions for.

    Raises:
        MissingFileError: no such folder, or it holds no config or tokenizer.
        DataError: the weights are not those of the config.
        ConfigError: special pieces are missing, or an option is not legal.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pretrained: bool,
        empty_word: str = "unk",
        max_subwords: int = MAX_SUBWORDS,
    ) -> None:
        super().__init__()
        if empty_word not in ("unk", "zero"):
            raise ConfigError(f"empty_word: expected 'unk' or 'zero', got {empty_word!r}")
        self.tokenizer = load_word_tokenizer(folder)
        self.model = load_text_model(folder, pretrained=pretrained)
        self._is_float32_alone = self.model.config.model_type in _FLOAT32_ALONE
        if self._is_float32_alone:
            logger.info("%s is computed in float32 whatever the precision", folder.name)
        self.dim: int = self.model.config.hidden_size
        self.empty_word = empty_word
        self.max_subwords = min(max_subwords, position_limit(self.model))
        if self.max_subwords < 4:
            raise ConfigError(f"max_subwords: expected at least 4, got {self.max_subwords}")
        self.specials = special_ids(self.tokenizer, folder)
        self._never = frozenset(self.tokenizer.all_special_ids)
        self._pieces: dict[str, tuple[int, ...]] = {}

    def pieces(self, words: Sequence[Word]) -> list[tuple[int, ...]]:
        """Return the piece ids of each word; an empty tuple only when `empty_word` is `zero`."""
        self._learn([word for word in words if word not in self._pieces and word is not SEP])
        separator = (self.specials["separator"],)
        return [separator if word is SEP else self._pieces[word] for word in words]

    def count_subwords(self, words: Sequence[Word]) -> int:
        """Return how many pieces the words take, without the begin and end pieces."""
        return sum(map(len, self.pieces(words)))

    def tokenize(
        self, sentences: Sequence[Sequence[Word]], n_words: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """Turn sentences into the arguments of `forward`.

        Args:
            sentences: words and markers of each sentence.
            n_words: how many leading words of each sentence need a vector (default: all); what
                follows is only read by attention.

        Returns:
            `input_ids` and `attention_mask`, shape (R, T), int64, R windows (one a sentence unless
            it is long); `first_subword`, shape (B, W), int64: where in the R*T states the first
            piece of each word stands, -1 for padding and for a word without pieces.
        """
        counts = [len(words) for words in sentences] if n_words is None else n_words
        self._learn(
            dict.fromkeys(
                word
                for words in sentences
                for word in words
                if word is not SEP and word not in self._pieces
            )
        )
        rows: list[list[int]] = []
        places: list[list[tuple[int, int]]] = []  # (row, column) of each word's first piece
        for words, count in zip(sentences, counts, strict=True):
            places.append(self._lay_out(self.pieces(words), count, rows))
        width = max(map(len, rows))
        padding = self.specials["padding"]
        input_ids = torch.tensor([row + [padding] * (width - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        first = torch.full((len(sentences), max(counts)), -1)
        for b, place in enumerate(places):
            flat = [-1 if row < 0 else row * width + column for row, column in place]
            first[b, : len(flat)] = torch.tensor(flat, dtype=torch.long)
        return {
            "input_ids": input_ids,
            "attention_mask": (torch.arange(width)[None] < lengths[:, None]).long(),
            "first_subword": first,
        }

    def forward(self, input_ids: Tensor, attention_mask: Tensor, first_subword: Tensor) -> Tensor:
        """Encode what `tokenize` returned.

        Returns:
            Shape (B, W, H), H = `dim`; zero at padding and, with `empty_word="zero"`, at words
            without pieces.
        """
        # Token type ids are not passed: the whole sequence is segment 0.
        with self._precision(input_ids.device.type):
            output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        states = output.last_hidden_state
        flat = states.flatten(0, 1)  # shape: (R * T, H)
        words = flat[first_subword.clamp(min=0)]  # shape: (B, W, H)
        return words * (first_subword >= 0).unsqueeze(2)

    def _precision(self, device_type: str) -> AbstractContextManager[Any]:
        """Return the context that the network computes in: the caller's, but for DeBERTa.

        DeBERTa hides padding by the least number of float32, which bfloat16 does not have.
        """
        if self._is_float32_alone:
            return torch.autocast(device_type, enabled=False)
        return nullcontext()

    def save_assets(self, folder: Path) -> None:
        """Write config.json and the tokenizer, from which `pretrained=False` rebuilds this."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.config.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)

    def _learn(self, words: Sequence[str] | dict[str, None]) -> None:
        """Tokenise words that were not met before."""
        unknown = self.specials["unknown"]
        found = piece_ids(self.tokenizer, list(words), self._never, unknown)
        for word, ids in zip(words, found, strict=True):
            self._pieces[word] = ids or ((unknown,) if self.empty_word == "unk" else ())

    def _lay_out(
        self, pieces: Sequence[tuple[int, ...]], n_words: int, rows: list[list[int]]
    ) -> list[tuple[int, int]]:
        """Append a sentence's windows to `rows`; return (row, column) of each word's first piece.

        A word without pieces gets (-1, -1).
        """
        begin, end = self.specials["begin"], self.specials["end"]
        content = [piece for word in pieces for piece in word]
        windows = cut_windows(len(content), self.max_subwords - 2)
        base = len(rows)
        rows.extend([begin, *content[w.start : w.stop], end] for w in windows)
        places, position, current = [], 0, 0
        for word in pieces[:n_words]:
            while position >= windows[current].kept_stop and current + 1 < len(windows):
                current += 1
            column = 1 + position - windows[current].start
            places.append((base + current, column) if word else (-1, -1))
            position += len(word)
        return places


def load_text_model(folder: Path, *, pretrained: bool) -> nn.Module:
    """Return the bare encoder in float32, without pooler where the family allows it.

    Args:
        folder: checkpoint folder in the transformers format.
        pretrained: True loads the weights, False builds the network from config.json alone.

    Raises:
        MissingFileError: no config or weights in the folder.
        DataError: the weights are not exactly those of the config, or cannot be read.
    """
    return load_network(folder, load_config(folder), pretrained=pretrained)


def position_limit(model: nn.Module) -> int:
    """Return the longest input that the position embeddings allow."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, nn.Embedding):  # relative positions: no limit of their own
        return MAX_SUBWORDS
    # RoBERTa numbers positions from its padding id + 1.
    used = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - used


class Window(NamedTuple):
    """Content pieces `start:stop` are read together; those from `kept_stop` on are left to the next
    window."""

    start: int
    stop: int
    kept_stop: int


def cut_windows(length: int, size: int) -> list[Window]:
    """Cut a sequence into windows that overlap by about half.

    At each join both windows give up half of the overlap, so that every kept state saw context on
    both sides. With 510 pieces a window the overlap is 256 and the start advances by 254.

    Args:
        length: pieces in all, without special pieces.
        size: pieces a window holds, at least 2.

    Returns:
        At least one window; the kept parts follow each other and cover everything once.

    Source: the windowing of ITA's released code (Wang et al. 2022), restated.
    """
    overlap = min((size + 2) // 2, size - 1)
    windows = [Window(0, min(size, length), min(size, length))]
    while windows[-1].stop < length:
        start = windows[-1].start + size - overlap
        stop = min(start + size, length)
        join = start + overlap // 2
        windows[-1] = windows[-1]._replace(kept_stop=join)
        windows.append(Window(start, stop, stop))
    return windows
