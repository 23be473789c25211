"""CoNLL text with `IMGID:` lines: legal files, mutated, in other encodings, very long."""

import random
from pathlib import Path

from extract.corpora.readers import conll_imgid
from extract.corpora.readers.base import TextSettings
from extract.tables.samples import read_samples, write_samples
from tests.fuzz.mutations import mutate
from tests.fuzz.refusal import may_refuse

NAME = "conll"

_TOKENS = (
    "Riga",
    "café",
    "\u200b",
    "\ufeff",
    "\u00a0",
    "\u2028",
    "\x85",
    "😀",
    "a" * 300,
    "'",
    "%s",
    "-",
)
_TAGS = ("O", "B-PER", "I-PER", "B-OTHER", "b-per", "B-", "PER", "B-PER\x0b", "O" * 90)
_HEADERS = (
    "IMGID:1",
    "IMGID: 2",
    "IMGID:",
    "imgid:3",
    "IMGID:IMGID:4",
    "\ufeffIMGID:5",
    "IMGID:\t",
)
_ENDS = ("\n", "\r\n", "\r", "\n\n", "\n\n\n")
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-7")


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Read one file; what is read must keep its tokens and be written and read again."""
    text = _legal(rng) if rng.random() < 0.5 else _any(rng)
    data = text.encode(rng.choice(_ENCODINGS), errors="replace")
    if rng.random() < 0.6:
        data = mutate(data, rng)
    (folder / "train.txt").write_bytes(data)
    settings = TextSettings(labels=rng.random() < 0.8)
    with may_refuse():
        samples = list(conll_imgid.iter_samples(folder, "train", settings))
    write_samples(folder / "again.jsonl", samples)
    if read_samples(folder / "again.jsonl") != samples:
        return "the samples are read as others than were written"
    for sample in samples:
        if not sample.tokens or not all(sample.tokens):
            return f"{sample.id}: an empty token in {sample.tokens!r:.200}"
        if not sample.image_id.strip():
            return f"{sample.id}: image id {sample.image_id!r}"
        if settings.labels and len(sample.tags or ()) != len(sample.tokens):
            return f"{sample.id}: tags and tokens differ in number"
    return None


def _legal(rng: random.Random) -> str:
    blocks = []
    for number in range(rng.randint(1, 6)):
        lines = [
            f"{rng.choice(_TOKENS)}\t{rng.choice(_TAGS[:4])}" for _ in range(rng.randint(1, 9))
        ]
        blocks.append("\n".join([f"IMGID:{number}", *lines]))
    return rng.choice(("\n\n", "\n")).join(blocks)


def _any(rng: random.Random) -> str:
    """Headers, columns and line ends in any order; now and then one of them very often."""
    parts = []
    for _ in range(rng.randint(1, 30)):
        kind = rng.choice((_TOKENS, _TAGS, _HEADERS, _ENDS, ("\t", " ", "\0", "\ud83d", "\x1b[2J")))
        times = 10 ** rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 5))
        parts.append(rng.choice(kind) * times)
    return "".join(parts)[:2_000_000]
