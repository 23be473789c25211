"""This builds a look-alike of `google/electra-base-discriminator`.

The network stands under `electra.`, its head under `discriminator_predictions.`
(ymcui/Chinese-ELECTRA, issue 84). The file also holds `electra.embeddings_project.`, though
embeddings and layers have one width and the network has no such projection
(huggingface/transformers, issue 7530). It is inferred, not seen, that pytorch_model.bin is not
zipped and is the only file for torch.
"""

from pathlib import Path

import torch

from tests.builders.hub import bert, forms
from tests.builders.hub.tensors import BASE, TINY, bert_network, draw, linear

SIZES = {
    "tiny": {**TINY, "vocab": 2000},
    "published": {**BASE, "vocab": 30522},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 5) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    dim = s["dim"]
    folder.mkdir(parents=True)
    shapes = bert_network(
        "electra.", vocab=s["vocab"], positions=512, types=2, dim=dim, inner=s["inner"],
        layers=s["layers"],
    )  # fmt: skip
    shapes |= linear("electra.embeddings_project", dim, dim)
    shapes |= linear("discriminator_predictions.dense", dim, dim)
    shapes |= linear("discriminator_predictions.dense_prediction", dim, 1)
    tensors = draw(shapes, seed, s["std"])
    forms.write_bin(folder, tensors, zipped=False)
    forms.write_json(
        folder / "config.json",
        {
            "architectures": ["ElectraForPreTraining"],
            "attention_probs_dropout_prob": 0.1,
            "embedding_size": dim,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": dim,
            "initializer_range": 0.02,
            "intermediate_size": s["inner"],
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": 512,
            "model_type": "electra",
            "num_attention_heads": s["heads"],
            "num_hidden_layers": s["layers"],
            "type_vocab_size": 2,
            "vocab_size": s["vocab"],
        },
    )
    bert.write_tokenizer(folder, s["vocab"])
    forms.write_json(folder / "tokenizer_config.json", {"do_lower_case": True})
    return tensors
