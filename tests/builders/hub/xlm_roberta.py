"""This builds a look-alike of `FacebookAI/xlm-roberta-large`.

The network stands under `roberta.`, as transformers calls the base of XLM-R, its head under
`lm_head.`. tokenizer.json has `<mask>` at the end; sentencepiece.bpe.model counts its three special
pieces in another order. The package sentencepiece reads this model, and transformers makes the same
pieces of it as of tokenizer.json. It is inferred, not seen, that tokenizer.json is in the form of
tokenizers 0.9, here without the table of the normaliser, and that the file holds `roberta.pooler.`.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, roberta, words
from tests.builders.hub.tensors import BASE, TINY, draw

SIZES = {
    "tiny": {**TINY, "vocab": 1000},
    "published": {**BASE, "vocab": 250002, "dim": 1024, "inner": 4096, "layers": 24, "heads": 16},
}
# Kinds of pieces in a SentencePiece model.
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3


def build(folder: Path, size: str = "tiny", *, seed: int = 4) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = draw(roberta.shapes(s, positions=514), seed, s["std"])
    forms.write_safetensors(folder, tensors)
    forms.write_json(
        folder / "config.json",
        {
            **roberta.config(s, positions=514),
            "architectures": ["XLMRobertaForMaskedLM"],
            "model_type": "xlm-roberta",
            "output_past": True,
            "position_embedding_type": "absolute",
            "transformers_version": "4.17.0.dev0",
            "use_cache": True,
        },
    )
    pieces = _pieces(s["vocab"])
    write_sentencepiece(folder / "sentencepiece.bpe.model", pieces[4:-1])
    write_tokenizer_json(folder, pieces)
    forms.write_json(folder / "tokenizer_config.json", {"model_max_length": 512})
    return tensors


def write_tokenizer_json(folder: Path, pieces: list[tuple[str, float]]) -> None:
    """Write tokenizer.json."""
    ids = {piece: number for number, (piece, _) in enumerate(pieces)}
    special = {piece: ids[piece] for piece in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")}
    start, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
    text = {"Sequence": {"id": "A", "type_id": 0}}
    content = words.tokenizer_json(
        {"type": "Unigram", "unk_id": 3, "vocab": [list(pair) for pair in pieces]},
        special,
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
            ],
        },
        post_processor={
            "type": "TemplateProcessing",
            "single": [start, text, end],
            "pair": [start, text, end, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
            "special_tokens": {
                name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        decoder={"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
    )
    forms.write_json(folder / "tokenizer.json", content)


def write_sentencepiece(file: Path, pieces: list[tuple[str, float]]) -> None:
    """Write a SentencePiece model: field 1 of `sentencepiece_model.proto`, once a piece.

    Args:
        file: to write.
        pieces: without special ones, and their log probabilities.
    """
    special = [("<unk>", 0.0, _UNKNOWN), ("<s>", 0.0, _CONTROL), ("</s>", 0.0, _CONTROL)]
    rows = [*special, *((piece, score, _NORMAL) for piece, score in pieces)]
    trainer = _field(2, _varint_field(3, 1))  # model_type: UNIGRAM
    file.write_bytes(b"".join(_field(1, _piece(*row)) for row in rows) + trainer)


def _pieces(size: int) -> list[tuple[str, float]]:
    """Return what tokenizer.json lists, in the order of the ids."""
    found = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    found += words.unigram_pieces()
    found += [(f"▁filler{number}", -30.0) for number in range(size - 1 - len(found))]
    return [*found, ("<mask>", 0.0)]


def _piece(text: str, score: float, kind: int) -> bytes:
    import struct

    number = bytes([2 << 3 | 5]) + struct.pack("<f", score)
    return _field(1, text.encode()) + number + _varint_field(3, kind)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])
