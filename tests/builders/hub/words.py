"""This module has small vocabularies of English, filled up to any size, for each family.

They hold the words below; letters, digits, marks and endings make the rest of English readable.
They are put together rather than trained, because trainers do not give the same pieces every time.
Published files have other pieces at the same places: special pieces, then the rest.
"""

import re
from collections.abc import Iterable, Sequence
from string import ascii_letters, digits, punctuation
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

TEXT = """
the of and to in is you that it he was for on are as with his they I at be this have from or one
had by word but not what all were we when your can said there use an each which she do how their
if will up other about out many then them these so some her would make like him into time has look
two more write go see number no way could people my than first water been call who oil its now
find long down day did get come made may part over new sound take only little work know place year
live me back give most very after thing our just name good sentence man think say great where help
through much before line right too mean old any same tell boy follow came want show also around
form three small set put end does another well large must big even such because turn here why ask
went men read need land different home us move try kind hand picture again change off play spell
air away animal house point page letter mother answer found study still learn should America world
high every near add food between own below country plant last school father keep tree never start
city earth eye light thought head under story saw left don't few while along might close something
seem next hard open example begin life always those both paper together got group often run music
dog cat ball red table street car stadium crowd player sign building Kevin Durant Oracle Arena
Golden State Warriors New York London RT @user http://t.co/abc123 #NBA 2017 a photo of a person
following types type entity PER LOC ORG MISC location organisation
"""
MARKS = [*ascii_letters, *digits, *punctuation]
ENDINGS = ("s", "ed", "er", "ing", "ly", "al", "est", "ion", "ment", "ness")


def filled(pieces: Sequence[str], size: int, name: str) -> list[str]:
    """Return the pieces and as many `name<n>` as the size asks for."""
    if len(pieces) > size:
        raise ValueError(f"expected at most {size} pieces, got {len(pieces)}")
    return [*pieces, *(name.format(number) for number in range(size - len(pieces)))]


def word_pieces() -> list[str]:
    """Return lower-case pieces of BERT's kind, `##` before continuations, no special ones."""
    whole = dict.fromkeys(re.findall(r"[a-z0-9]+", TEXT.lower()))
    going_on = (mark for mark in MARKS if not mark.isupper())
    return [*whole, *(f"##{piece}" for piece in dict.fromkeys((*ENDINGS, *going_on)))]


def bert_vocabulary(size: int) -> list[str]:
    """Return a vocabulary laid out as that of bert-base-uncased, where `.` is 1012 and `?` 1029."""
    marks = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    unused = [f"[unused{number}]" for number in range(994)]
    first = ["[PAD]", *unused[:99], *special, *unused[99:], *marks]
    known = set(first)
    return filled([*first, *(p for p in word_pieces() if p not in known)], size, "[filler{}]")


Pairs = tuple[list[str], list[tuple[str, str]]]


def byte_pairs() -> Pairs:
    """Return (pieces, merges) over bytes as GPT-2 has them: a word begins with its blank."""
    return _pairs([f"Ġ{word}" for word in _words()], _alphabet(), "")


def lower_byte_pairs() -> Pairs:
    """Return (pieces, merges) over bytes as CLIP has them: small letters, `</w>` ends a word."""
    return _pairs([word.lower() for word in _words()], _alphabet(), "</w>")


def character_pairs(first: Sequence[str] = ()) -> Pairs:
    """Return (pieces, merges) over characters as fastBPE has them: `</w>` ends a word.

    Args:
        first: words that are one piece, whatever the others are.
    """
    return _pairs([*first, *_words()], MARKS, "</w>")


def unigram_pieces() -> list[tuple[str, float]]:
    """Return SentencePiece's kind of pieces with their log probabilities, no special ones."""
    whole = [f"▁{word}" for word in dict.fromkeys(TEXT.split()) if word.isalnum()]
    found = {piece: -4.0 - place / 100 for place, piece in enumerate(whole)}
    found |= dict.fromkeys(ENDINGS, -8.0)
    return list((dict.fromkeys(("▁", *MARKS), -12.0) | found).items())


def merges_file(merges: Iterable[tuple[str, str]]) -> str:
    """Return the content of merges.txt."""
    return "".join(["#version: 0.2\n", *(f"{a} {b}\n" for a, b in merges)])


def tokenizer_json(
    model: dict[str, Any], special: dict[str, int], **parts: dict[str, Any] | None
) -> dict[str, Any]:
    """Return tokenizer.json in the form of its first version, merges as strings.

    Args:
        model: its part of that name.
        special: special pieces and their ids.
        parts: `normalizer`, `pre_tokenizer`, `post_processor`, `decoder`.
    """
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": number, "special": True, "content": content, **flags}
        for content, number in special.items()
    ]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added} | {
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        **parts, "model": model,
    }  # fmt: skip


def byte_level_json(
    ids: dict[str, int],
    merges: Iterable[tuple[str, str]],
    ends: tuple[str, str],
    special: Iterable[str],
    **parts: Any,
) -> dict[str, Any]:
    """Return tokenizer.json of a byte-level tokenizer, as transformers 4.0 to 4.10 converted it.

    Args:
        ids: of all pieces.
        merges: in their order.
        ends: pieces before and after a sentence.
        special: special pieces.
        parts: `normalizer`, `pre_tokenizer` and keys of `model` that differ from RoBERTa's.
    """
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    start, end = ([piece, ids[piece]] for piece in ends)
    model = {
        "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
        "end_of_word_suffix": "", "fuse_unk": False, **parts.pop("model", {}), "vocab": ids,
        "merges": [" ".join(pair) for pair in merges],
    }  # fmt: skip
    parts.setdefault("pre_tokenizer", level)
    return tokenizer_json(
        model, {piece: ids[piece] for piece in special}, **parts, decoder=level,
        post_processor={
            "type": "RobertaProcessing", "sep": end, "cls": start, "trim_offsets": True,
            "add_prefix_space": False,
        },
    )  # fmt: skip


def _alphabet() -> list[str]:
    return sorted(ByteLevel.alphabet())


def _words() -> list[str]:
    """Return the words of the text, each once."""
    return list(dict.fromkeys(re.findall(r"[A-Za-z]+", TEXT)))


def _pairs(words: Sequence[str], symbols: Sequence[str], end: str) -> Pairs:
    """Return the symbols, what merges make of them, and the merges, which spell words in turn."""
    pieces = dict.fromkeys([*symbols, *(f"{symbol}{end}" for symbol in symbols)])
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        letters = [*word[:-1], f"{word[-1]}{end}"]
        for place in range(1, len(letters)):
            merges["".join(letters[:place]), letters[place]] = None
    pieces |= dict.fromkeys(left + right for left, right in merges)
    return list(pieces), list(merges)
