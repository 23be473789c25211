"""This builds a look-alike of `distilbert/distilbert-base-uncased`.

The form is that of transformers' DistilBertForMaskedLM: the network stands under `distilbert.`, its
head under `vocab_transform.`, `vocab_layer_norm.` and `vocab_projector.`. It is inferred, not seen,
that both kinds of weights are published.
"""

from pathlib import Path

import torch

from tests.builders.hub import bert, forms
from tests.builders.hub.tensors import BASE, TINY, draw, linear, norm

SIZES = {
    "tiny": {**TINY, "vocab": 2000},
    "published": {**BASE, "vocab": 30522, "layers": 6},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 8) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    dim, vocab = s["dim"], s["vocab"]
    folder.mkdir(parents=True)
    shapes = {
        "distilbert.embeddings.word_embeddings.weight": (vocab, dim),
        "distilbert.embeddings.position_embeddings.weight": (512, dim),
        **norm("distilbert.embeddings.LayerNorm", dim),
    }
    for layer in range(s["layers"]):
        name = f"distilbert.transformer.layer.{layer}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= linear(f"{name}.attention.{part}", dim, dim)
        shapes |= norm(f"{name}.sa_layer_norm", dim) | norm(f"{name}.output_layer_norm", dim)
        shapes |= linear(f"{name}.ffn.lin1", dim, s["inner"])
        shapes |= linear(f"{name}.ffn.lin2", s["inner"], dim)
    shapes |= linear("vocab_transform", dim, dim) | norm("vocab_layer_norm", dim)
    shapes |= {"vocab_projector.bias": (vocab,)}
    tensors = draw(shapes, seed, s["std"])
    forms.write_safetensors(folder, tensors)
    tied = {"vocab_projector.weight": tensors["distilbert.embeddings.word_embeddings.weight"]}
    forms.write_bin(folder, tensors | tied, zipped=False)
    forms.write_json(
        folder / "config.json",
        {
            "activation": "gelu",
            "architectures": ["DistilBertForMaskedLM"],
            "attention_dropout": 0.1,
            "dim": dim,
            "dropout": 0.1,
            "hidden_dim": s["inner"],
            "initializer_range": 0.02,
            "max_position_embeddings": 512,
            "model_type": "distilbert",
            "n_heads": s["heads"],
            "n_layers": s["layers"],
            "pad_token_id": 0,
            "qa_dropout": 0.1,
            "seq_classif_dropout": 0.2,
            "sinusoidal_pos_embds": False,
            "tie_weights_": True,
            "transformers_version": "4.10.0.dev0",
            "vocab_size": vocab,
        },
    )
    bert.write_tokenizer(folder, vocab)
    forms.write_json(
        folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 512}
    )
    return tensors
