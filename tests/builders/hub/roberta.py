"""This builds a look-alike of `FacebookAI/roberta-base`.

The network and its pooler stand under `roberta.`, its head under `lm_head.`, as transformers
reports when it leaves them unused (cardiffnlp/tweetnlp, issue 14). The tokenizer is GPT-2's with
special pieces of its own. It is inferred, not seen, that `position_ids` is in the file, that
tokenizer.json is in the form of transformers 4.0, and that the torch file is not zipped.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, words
from tests.builders.hub.tensors import BASE, TINY, Shapes, bert_network, draw, linear, norm

SIZES = {
    "tiny": {**TINY, "vocab": 1800},
    "published": {**BASE, "vocab": 50265},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 3) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = draw(shapes(s, positions=514), seed, s["std"])
    buffer = {"roberta.embeddings.position_ids": torch.arange(514)[None]}
    tied = {"lm_head.decoder.weight": tensors["roberta.embeddings.word_embeddings.weight"]}
    forms.write_safetensors(folder, tensors | buffer)
    forms.write_bin(folder, tensors | buffer | tied, zipped=False)
    forms.write_json(folder / "config.json", config(s, positions=514))
    write_tokenizer(folder, s["vocab"])
    return tensors


def shapes(s: dict, *, positions: int, pooler: bool = True) -> Shapes:
    """Return the shapes of a RoBERTa with the head of masked words."""
    found = bert_network(
        "roberta.", vocab=s["vocab"], positions=positions, types=1, dim=s["dim"],
        inner=s["inner"], layers=s["layers"],
    )  # fmt: skip
    if pooler:
        found |= linear("roberta.pooler.dense", s["dim"], s["dim"])
    found |= {"lm_head.bias": (s["vocab"],)} | linear("lm_head.dense", s["dim"], s["dim"])
    return found | norm("lm_head.layer_norm", s["dim"])


def config(s: dict, *, positions: int) -> dict:
    """Return config.json."""
    return {
        "architectures": ["RobertaForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": s["dim"],
        "initializer_range": 0.02,
        "intermediate_size": s["inner"],
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": positions,
        "model_type": "roberta",
        "num_attention_heads": s["heads"],
        "num_hidden_layers": s["layers"],
        "pad_token_id": 1,
        "type_vocab_size": 1,
        "vocab_size": s["vocab"],
    }


def write_tokenizer(folder: Path, size: int) -> None:
    """Write vocab.json, merges.txt and tokenizer.json; the mask piece is the last."""
    pieces, merges = words.byte_pairs()
    first = ["<s>", "<pad>", "</s>", "<unk>", *pieces]
    vocabulary = [*words.filled(first, size - 1, "filler{}"), "<mask>"]
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    forms.write_json(folder / "vocab.json", ids)
    (folder / "merges.txt").write_text(words.merges_file(merges), "utf-8")
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    content = words.byte_level_json(ids, merges, ("<s>", "</s>"), special)
    forms.write_json(folder / "tokenizer.json", content)
