"""This builds a look-alike of `facebook/dino-vitb16`.

The form is that of transformers' conversion of DINO to a ViTModel: a bare network without a prefix,
with the names that ViT had before transformers 5, and preprocessor_config.json of 2021. The weights
for torch are published as pytorch_model.bin alone. It is inferred, not seen, that the file holds no
pooler (the conversion builds the network without one), and that it is zipped.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms
from tests.builders.hub.tensors import draw, linear, norm

SIZES = {
    "tiny": {"dim": 32, "layers": 2, "heads": 4, "image": 32, "patch": 8, "std": 0.2},
    "published": {"dim": 768, "layers": 12, "heads": 12, "image": 224, "patch": 16, "std": 0.02},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 10) -> dict[str, torch.Tensor]:
    """Write the folder; return its tensors by their names in the file."""
    s = SIZES[size]
    dim, patch = s["dim"], s["patch"]
    folder.mkdir(parents=True)
    shapes = {
        "embeddings.cls_token": (1, 1, dim),
        "embeddings.position_embeddings": (1, (s["image"] // patch) ** 2 + 1, dim),
        "embeddings.patch_embeddings.projection.weight": (dim, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (dim,),
    }
    for layer in range(s["layers"]):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= linear(f"{name}.attention.attention.{part}", dim, dim)
        shapes |= linear(f"{name}.attention.output.dense", dim, dim)
        shapes |= linear(f"{name}.intermediate.dense", dim, 4 * dim)
        shapes |= linear(f"{name}.output.dense", 4 * dim, dim)
        shapes |= norm(f"{name}.layernorm_before", dim) | norm(f"{name}.layernorm_after", dim)
    shapes |= norm("layernorm", dim)
    tensors = draw(shapes, seed, s["std"])
    forms.write_bin(folder, tensors)
    forms.write_json(
        folder / "config.json",
        {
            "architectures": ["ViTModel"],
            "attention_probs_dropout_prob": 0.0,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": dim,
            "image_size": s["image"],
            "initializer_range": 0.02,
            "intermediate_size": 4 * dim,
            "layer_norm_eps": 1e-12,
            "model_type": "vit",
            "num_attention_heads": s["heads"],
            "num_channels": 3,
            "num_hidden_layers": s["layers"],
            "patch_size": patch,
            "transformers_version": "4.9.0.dev0",
        },
    )
    forms.write_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "ViTFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
            "resample": 2,
            "size": s["image"],
        },
    )
    return tensors
