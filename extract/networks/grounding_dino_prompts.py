"""Noun phrases -> text prompts of a detector that scores each token: `a dog. the old man.`"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import DataError
from extract.networks.checkpoints.tokenizer_files import load_tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """Some phrases of one image as the text encoder reads them: `[CLS] a dog . a cat . [SEP]`."""

    token_ids: tuple[int, ...]
    phrases: tuple[int, ...]
    """Indices of the phrases."""
    spans: tuple[tuple[int, int], ...]
    """Token positions of each phrase, end exclusive, without its dot."""


class PromptWriter:
    """Phrases -> prompts that the detector can read whole.

    Phrases are written in small letters and without the detector's delimiters (dot, question mark),
    which would split them. Those that no longer fit go to another prompt. Phrases that read the
    same after this are one, the first.

    Args:
        folder: checkpoint folder with a tokenizer.
        delimiters: ids of the tokens at which the detector splits a prompt.
        max_tokens: length of the longest prompt, `[CLS]` and `[SEP]` included.

    Raises:
        MissingFileError: no usable tokenizer.
        DataError: a tokenizer of other ids.
    """

    def __init__(self, folder: Path, delimiters: Sequence[int], max_tokens: int) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._start, self._end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        self._dot = self._tokenizer.convert_tokens_to_ids(".")
        self._delimiters = frozenset(delimiters)
        if not {self._start, self._end, self._dot} <= self._delimiters:
            raise DataError(
                f"{folder}: the tokenizer writes [CLS], [SEP] and '.' as {self._start}, "
                f"{self._end} and {self._dot}, but the detector knows its delimiters as "
                f"{', '.join(map(str, delimiters))}. Give the checkpoint its own tokenizer."
            )
        self._max_tokens = max_tokens

    def write(self, texts: Sequence[str]) -> list[Prompt]:
        """Return the prompts of one image's phrases; none where no phrase has a word."""
        prompts: list[Prompt] = []
        held: list[tuple[int, list[int]]] = []
        length = 2  # [CLS] and [SEP]
        for index, tokens in self._tokenize(texts):
            if held and length + len(tokens) + 1 > self._max_tokens:
                prompts.append(self._join(held))
                held, length = [], 2
            held.append((index, tokens))
            length += len(tokens) + 1
        return [*prompts, self._join(held)] if held else prompts

    def _join(self, phrases: Sequence[tuple[int, list[int]]]) -> Prompt:
        token_ids, spans = [self._start], []
        for _, tokens in phrases:
            spans.append((len(token_ids), len(token_ids) + len(tokens)))
            token_ids += [*tokens, self._dot]
        token_ids.append(self._end)
        return Prompt(tuple(token_ids), tuple(index for index, _ in phrases), tuple(spans))

    def _tokenize(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        """Yield the index and the tokens of each phrase that the detector can tell apart."""
        seen: set[tuple[int, ...]] = set()
        for index, text in enumerate(texts):
            written = self._tokenizer(text.lower(), add_special_tokens=False, verbose=False)
            tokens = [token for token in written["input_ids"] if token not in self._delimiters]
            # [CLS], the dot and [SEP] take three.
            most = self._max_tokens - 3
            if len(tokens) > most:
                logger.warning(
                    "a phrase of %d tokens is cut to %d: '%.60s...'", len(tokens), most, text
                )
                tokens = tokens[:most]
            if tokens and tuple(tokens) not in seen:
                seen.add(tuple(tokens))
                yield index, tokens
