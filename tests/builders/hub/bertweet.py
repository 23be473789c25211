"""This builds a look-alike of `vinai/bertweet-base`.

The form of the tokenizer is that which transformers' BertweetTokenizer reads: vocab.txt has a count
behind each piece and `@@` on pieces that go on, bpe.codes a count behind each pair. The network is
RoBERTa's with 128 positions, as its documentation says. It is inferred, not seen, that config.json
names the tokenizer's class, that there is no tokenizer_config.json, and that pytorch_model.bin is
not zipped.
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
