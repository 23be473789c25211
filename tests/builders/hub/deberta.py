"""This builds a look-alike of `microsoft/deberta-base`.

The network stands under `deberta.`, the head of masked words under `lm_predictions.lm_head.`, and
the file holds position embeddings that the config switches off (huggingface/transformers, issue
15216). The tokenizer is GPT-2's with BERT's special pieces, of which [CLS] and [SEP] are 1 and 2
(transformers' DebertaTokenizer). It is inferred, not seen, that [PAD] is 0 and [UNK] 3, and that
pytorch_model.bin is not zipped.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, words
from tests.builders.hub.tensors import BASE, TINY, bert_feed_forward, draw, linear, norm

SIZES = {
    "tiny": {**TINY, "vocab": 1800},
    "published": {**BASE, "vocab": 50265},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 6) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    dim, vocab = s["dim"], s["vocab"]
    folder.mkdir(parents=True)
    shapes = {
        "deberta.embeddings.word_embeddings.weight": (vocab, dim),
        "deberta.embeddings.position_embeddings.weight": (512, dim),
        **norm("deberta.embeddings.LayerNorm", dim),
        "deberta.encoder.rel_embeddings.weight": (1024, dim),
    }
    for layer in range(s["layers"]):
        name = f"deberta.encoder.layer.{layer}"
        inside = f"{name}.attention.self"
        shapes |= {f"{inside}.q_bias": (dim,), f"{inside}.v_bias": (dim,)}
        shapes |= {f"{inside}.in_proj.weight": (3 * dim, dim)}
        shapes |= {f"{inside}.pos_proj.weight": (dim, dim)}
        shapes |= linear(f"{inside}.pos_q_proj", dim, dim)
        shapes |= linear(f"{name}.attention.output.dense", dim, dim)
        shapes |= norm(f"{name}.attention.output.LayerNorm", dim)
        shapes |= bert_feed_forward(name, dim, s["inner"])
    shapes |= {"lm_predictions.lm_head.bias": (vocab,)}
    shapes |= linear("lm_predictions.lm_head.dense", dim, dim)
    shapes |= norm("lm_predictions.lm_head.LayerNorm", dim)
    tensors = draw(shapes, seed, s["std"])
    forms.write_bin(folder, tensors, zipped=False)
    forms.write_json(
        folder / "config.json",
        {
            "model_type": "deberta",
            "attention_probs_dropout_prob": 0.1,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": dim,
            "initializer_range": 0.02,
            "intermediate_size": s["inner"],
            "max_position_embeddings": 512,
            "relative_attention": True,
            "pos_att_type": "c2p|p2c",
            "layer_norm_eps": 1e-7,
            "max_relative_positions": -1,
            "position_biased_input": False,
            "num_attention_heads": s["heads"],
            "num_hidden_layers": s["layers"],
            "type_vocab_size": 0,
            "padding_idx": 0,
            "vocab_size": vocab,
        },
    )
    pieces, merges = words.byte_pairs()
    first = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocabulary = [*words.filled([*first, *pieces], vocab - 1, "filler{}"), "[MASK]"]
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    forms.write_json(folder / "vocab.json", ids)
    (folder / "merges.txt").write_text(words.merges_file(merges), "utf-8")
    forms.write_json(
        folder / "tokenizer_config.json", {"do_lower_case": False, "vocab_type": "gpt2"}
    )
    return tensors
