"""Small real vocabularies of English, filled up to any size, in the forms of each family.

They are trained on the words below; letters, digits and marks make the rest of English readable.
Published files have other pieces at the same places: special pieces, then the rest.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from string import ascii_letters, digits, punctuation
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXT = """
the of and to in is you that it he was for on are as with his they I at be this have from or one had
by word but not what all were we when your can said there use an each which she do how their if will
up other about out many then them these so some her would make like him into time has look two more
write go see number no way could people my than first water been call who oil its now find long down
day did get come made may part over new sound take only little work know place year live me back give
most very after thing our just name good sentence man think say great where help through much before
line right too mean old any same tell boy follow came want show also around form three small set put
end does another well large must big even such because turn here why ask went men read need land
different home us move try kind hand picture again change off play spell air away animal house point
page letter mother answer found study still learn should America world high every near add food
between own below country plant last school father keep tree never start city earth eye light thought
head under story saw left don't few while along might close something seem next hard open example
begin life always those both paper together got group often run music dog cat ball red table street
car stadium crowd player sign building Kevin Durant Oracle Arena Golden State Warriors New York London
RT @user http://t.co/abc123 #NBA 2017 a photo of a person
"""
MARKS = [*ascii_letters, *digits, *punctuation]


def lines(lower: bool) -> list[str]:
    """Return the text to train on, every mark included."""
    found = [*TEXT.strip().splitlines(), " ".join(MARKS)]
    return [line.lower() for line in found] if lower else found


def filled(pieces: Sequence[str], size: int, name: str) -> list[str]:
    """Return the pieces and as many `name<n>` as the size asks for."""
    if len(pieces) > size:
        raise ValueError(f"expected at most {size} pieces, got {len(pieces)}")
    return [*pieces, *(name.format(number) for number in range(size - len(pieces)))]


@cache
def word_pieces() -> tuple[str, ...]:
    """Return lower-case pieces of BERT's kind, `##` before continuations, no special ones."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=700, special_tokens=["[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(lines(True), trainer)
    found = [piece for piece in tokenizer.get_vocab() if piece != "[UNK]"]
    # Every letter may also go on a word.
    return tuple(sorted({*found, *(f"##{mark}" for mark in MARKS if not mark.isupper())}))


def bert_vocabulary(size: int) -> list[str]:
    """Return a vocabulary laid out as that of bert-base-uncased, where `.` is 1012 and `?` 1029."""
    marks = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    unused = [f"[unused{number}]" for number in range(994)]
    first = ["[PAD]", *unused[:99], *special, *unused[99:], *marks]
    known = set(first)
    return filled([*first, *(p for p in word_pieces() if p not in known)], size, "[filler{}]")


@cache
def byte_pairs(lower: bool, end: str = "") -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return (pieces, merges) over bytes: GPT-2's with end "", CLIP's with `</w>`."""
    state = _train_pairs(
        lines(lower), pre_tokenizers.ByteLevel(add_prefix_space=not end), end, _alphabet()
    )
    return _bytes_first(state, end)


@cache
def character_pairs() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return (pieces, merges) over characters with `</w>`, as fastBPE makes them."""
    state = _train_pairs(lines(False), pre_tokenizers.WhitespaceSplit(), "</w>", MARKS)
    return _bytes_first(state, "</w>", MARKS)


@cache
def unigram_pieces() -> tuple[tuple[str, float], ...]:
    """Return SentencePiece's kind of pieces with their log probabilities, no special ones."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False,
        initial_alphabet=MARKS,
    )  # fmt: skip
    tokenizer.train_from_iterator(lines(False), trainer)
    found = dict(json.loads(tokenizer.to_str())["model"]["vocab"])
    rest = {mark: -12.0 for mark in ["▁", *MARKS]}
    return tuple((p, s) for p, s in (rest | found).items() if p != "<unk>")


def merges_file(merges: Iterable[tuple[str, str]]) -> str:
    """Return the content of merges.txt."""
    return "".join(["#version: 0.2\n", *(f"{a} {b}\n" for a, b in merges)])


def tokenizer_json(
    model: dict[str, Any], special: dict[str, int], **parts: dict[str, Any] | None
) -> dict[str, Any]:
    """Return tokenizer.json in the form of its first version, merges as strings.

    Args:
        model: the part of that name.
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


def _alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _train_pairs(
    text: list[str], split: Any, end: str, alphabet: Sequence[str]
) -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=end) if end else models.BPE())
    tokenizer.pre_tokenizer = split
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=list(alphabet), show_progress=False,
        **({"end_of_word_suffix": end} if end else {}),
    )  # fmt: skip
    tokenizer.train_from_iterator(text, trainer)
    return json.loads(tokenizer.to_str())["model"]


def _bytes_first(
    model: dict[str, Any], end: str, alphabet: Sequence[str] | None = None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return single symbols, then what the merges make of them, in their order."""
    symbols = list(alphabet or _alphabet())
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    pieces = dict.fromkeys([*symbols, *(f"{symbol}{end}" for symbol in symbols)])
    pieces |= dict.fromkeys(a + b for a, b in merges)
    return tuple(pieces), tuple(merges)
