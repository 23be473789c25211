"""A look-alike of `vinai/bertweet-base`.

Source of the form: transformers' BertweetTokenizer and its documentation (vocab.txt with a count
behind each piece, `@@` on pieces that go on, bpe.codes of fastBPE with a count behind each pair,
128 positions, no faster tokenizer); RoBERTa's names in pytorch_model.bin. Inferred, not seen:
`tokenizer_class` in config.json, that no tokenizer_config.json is there, and that the torch file
is not zipped.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, roberta, words
from tests.builders.hub.tensors import BASE, TINY, draw

SIZES = {
    "tiny": {**TINY, "vocab": 2000},
    "published": {**BASE, "vocab": 64001},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 7) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = draw(roberta.shapes(s, positions=130), seed, s["std"])
    buffer = {"roberta.embeddings.position_ids": torch.arange(130)[None]}
    tied = {"lm_head.decoder.weight": tensors["roberta.embeddings.word_embeddings.weight"]}
    forms.write_bin(folder, tensors | buffer | tied, zipped=False)
    config = roberta.config(s, positions=130) | {"tokenizer_class": "BertweetTokenizer"}
    forms.write_json(folder / "config.json", {**config, "gradient_checkpointing": False})
    # What user names and addresses become is one piece each, as in the published file.
    pieces, merges = words.character_pairs(["@USER", "HTTPURL"])
    known = [p.removesuffix("</w>") if p.endswith("</w>") else f"{p}@@" for p in pieces]
    # Four special pieces stand before, and `<mask>` behind.
    listed = words.filled(list(dict.fromkeys(known)), s["vocab"] - 5, "filler{}")
    (folder / "vocab.txt").write_text("".join(f"{piece} 9\n" for piece in listed), "utf-8")
    (folder / "bpe.codes").write_text("".join(f"{a} {b} 9\n" for a, b in merges), "utf-8")
    return tensors
