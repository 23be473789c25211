"""This builds a look-alike of `google-bert/bert-base-uncased`.

The file was converted from TensorFlow in 2018, so its layer norms have `gamma` and `beta` (the
names are listed in google-research/bert, issue 1019). The network and its pooler stand under
`bert.`, and the heads of both pretraining tasks under `cls.`, as transformers reports when
BertModel leaves them unused (huggingface/transformers, issue 5421). Both kinds of weights are
published. It is inferred, not seen, that config.json is that of transformers 4.6, that the torch
file is not zipped, and that it alone holds the tied `cls.predictions.decoder.weight`.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, words
from tests.builders.hub.tensors import BASE, TINY, Shapes, bert_network, draw, linear, norm

SIZES = {
    "tiny": {**TINY, "vocab": 2000, "layers": 3},
    "published": {**BASE, "vocab": 30522},
}


def build(
    folder: Path, size: str = "tiny", *, positions: int = 512, seed: int = 1
) -> dict[str, torch.Tensor]:
    """Write the folder; return its tensors by the names that transformers gives them.

    Args:
        folder: to be made.
        size: `tiny` or `published`.
        positions: longest input in pieces.
        seed: of the weights.
    """
    s = SIZES[size]
    folder.mkdir(parents=True)
    shapes = bert_network(
        "bert.", vocab=s["vocab"], positions=positions, types=2, dim=s["dim"], inner=s["inner"],
        layers=s["layers"],
    ) | linear("bert.pooler.dense", s["dim"], s["dim"]) | heads(s["vocab"], s["dim"])  # fmt: skip
    tensors = draw(shapes, seed, s["std"])
    forms.write_safetensors(folder, forms.old_norms(tensors))
    decoder = {"cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"]}
    forms.write_bin(folder, forms.old_norms(tensors | decoder), zipped=False)
    forms.write_json(folder / "config.json", config(s, positions=positions))
    write_tokenizer(folder, s["vocab"])
    forms.write_json(folder / "tokenizer_config.json", {"do_lower_case": True})
    return tensors


def config(s: dict, *, positions: int) -> dict:
    """Return config.json."""
    return {
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": s["dim"],
        "initializer_range": 0.02,
        "intermediate_size": s["inner"],
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": positions,
        "model_type": "bert",
        "num_attention_heads": s["heads"],
        "num_hidden_layers": s["layers"],
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "transformers_version": "4.6.0.dev0",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": s["vocab"],
    }


def heads(vocab: int, dim: int) -> Shapes:
    """Return the shapes of the heads of BERT's two pretraining tasks, without tied ones."""
    return {
        "cls.predictions.bias": (vocab,),
        **linear("cls.predictions.transform.dense", dim, dim),
        **norm("cls.predictions.transform.LayerNorm", dim),
        **linear("cls.seq_relationship", dim, 2),
    }


def write_tokenizer(folder: Path, size: int, *, length: int | None = None) -> None:
    """Write vocab.txt and tokenizer.json of an uncased WordPiece tokenizer.

    Args:
        folder: to write to.
        size: pieces in all.
        length: what tokenizer.json pads and cuts to, if anything.
    """
    vocabulary = words.bert_vocabulary(size)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary), "utf-8")
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    special = {piece: ids[piece] for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    ends = [{"SpecialToken": {"id": end, "type_id": 0}} for end in ("[CLS]", "[SEP]")]
    sentence = {"Sequence": {"id": "A", "type_id": 0}}
    second = [
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
    ]
    single = [ends[0], sentence, ends[1]]
    content = words.tokenizer_json(
        {
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
        special,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, *second],
            "special_tokens": {
                end: {"id": end, "ids": [ids[end]], "tokens": [end]} for end in ("[CLS]", "[SEP]")
            },
        },
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )
    if length is not None:
        content["truncation"] = {"max_length": length, "strategy": "LongestFirst", "stride": 0}
        content["padding"] = {
            "strategy": {"Fixed": length}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        }  # fmt: skip
    forms.write_json(folder / "tokenizer.json", content)
