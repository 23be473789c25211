"""Pieces of words that a checkpoint's tokenizer is given one by one."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError

# Name -> the tokenizer's own names for it, in order of preference.
_SPECIALS = {
    "begin": ("cls_token_id", "bos_token_id"),
    "end": ("sep_token_id", "eos_token_id"),
    "separator": ("eos_token_id", "sep_token_id"),
    "unknown": ("unk_token_id",),
    "padding": ("pad_token_id",),
}


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer so that `load_word_tokenizer` reads the same from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    if not tokenizer.is_fast:
        # transformers writes the merges of BERTweet in a form that it does not read back.
        for attribute, name in tokenizer.vocab_files_names.items():
            shutil.copyfile(getattr(tokenizer, attribute), folder / name)


def special_ids(tokenizer: Any, folder: Path) -> dict[str, int]:
    """Return the ids of `begin`, `end`, `separator`, `unknown` and `padding`.

    Raises:
        ConfigError: the tokenizer lacks one; `folder` is named.
    """
    return {name: _first_id(tokenizer, choices, folder) for name, choices in _SPECIALS.items()}


def piece_ids(
    tokenizer: Any, words: Sequence[str], never: Collection[int], unknown: int
) -> list[tuple[int, ...]]:
    """Return the piece ids of each word, tokenised alone; empty for a word without pieces.

    Args:
        tokenizer: of transformers.
        words: without duplicates, best.
        never: ids that no word may be read as: all special ones, whatever a tweet spells.
        unknown: what stands in their place.
    """
    if not words:
        return []
    encoded = tokenizer(
        [[word] for word in words],
        is_split_into_words=True,
        add_special_tokens=False,
        split_special_tokens=True,  # a tweet that spells "</s>" or "[SEP]" has no such piece
        truncation=False,
        padding=False,
        return_attention_mask=False,
    )
    # XLM-R's Unigram model would still find "</s>" in a tweet.
    return [tuple(unknown if i in never else i for i in ids) for ids in encoded["input_ids"]]


def _first_id(tokenizer: Any, choices: Sequence[str], folder: Path) -> int:
    """Return the first special id that the tokenizer has."""
    for choice in choices:
        if (found := getattr(tokenizer, choice, None)) is not None:
            return found
    raise ConfigError(f"{folder}: its tokenizer has none of {', '.join(choices)}.")
