"""This builds a look-alike of `Salesforce/blip-image-captioning-large`.

config.json is that of the base size, which whaler404/Hf-Learn keeps in
`transfomers_learn/api/models/multimodal_models/blip/blip.md`, with the sizes of the large one. The
names are those of BlipForConditionalGeneration. `text_decoder.cls.predictions.decoder.bias`, which
is the other bias of the head, is not in the file: users report it as missing. The tokenizer is
BERT's, with two pieces fewer than the network has. It is inferred, not seen, that the tied
`decoder.weight` stands in the torch file alone, and that `position_ids` is in both.
"""

from pathlib import Path

import torch

from tests.builders.hub import bert, forms
from tests.builders.hub.clip import MEAN, STD
from tests.builders.hub.tensors import (
    Shapes,
    bert_attention,
    bert_feed_forward,
    draw,
    linear,
    norm,
)

SIZES = {
    "tiny": {
        "vocab": 2000, "text": 32, "text_layers": 2, "text_heads": 4, "dim": 24, "layers": 2,
        "heads": 2, "image": 32, "patch": 8, "std": 0.3,
    },
    "published": {
        "vocab": 30522, "text": 768, "text_layers": 12, "text_heads": 12, "dim": 1024,
        "layers": 24, "heads": 16, "image": 384, "patch": 16, "std": 0.02,
    },
}  # fmt: skip


def build(folder: Path, size: str = "tiny", *, seed: int = 11) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = draw(_vision(s) | _text(s), seed, s["std"])
    words = tensors["text_decoder.bert.embeddings.word_embeddings.weight"]
    buffer = {"text_decoder.bert.embeddings.position_ids": torch.arange(512)[None]}
    forms.write_safetensors(folder, tensors | buffer)
    tied = {"text_decoder.cls.predictions.decoder.weight": words}
    forms.write_bin(folder, tensors | buffer | tied)
    forms.write_json(folder / "config.json", _config(s))
    bert.write_tokenizer(folder, s["vocab"])
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")
    }
    forms.write_json(folder / "special_tokens_map.json", special)
    forms.write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "do_basic_tokenize": True,
            "do_lower_case": True,
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 512,
            "name_or_path": "bert-base-uncased",
            "never_split": None,
            "processor_class": "BlipProcessor",
            "special_tokens_map_file": None,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": "BertTokenizer",
        },
    )
    forms.write_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": MEAN,
            "image_processor_type": "BlipImageProcessor",
            "image_std": STD,
            "processor_class": "BlipProcessor",
            "resample": 3,
            "rescale_factor": 0.00392156862745098,
            "size": {"height": s["image"], "width": s["image"]},
        },
    )
    return tensors


def _vision(s: dict) -> Shapes:
    dim, patch = s["dim"], s["patch"]
    found: Shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, dim),
        "vision_model.embeddings.position_embedding": (1, (s["image"] // patch) ** 2 + 1, dim),
        "vision_model.embeddings.patch_embedding.weight": (dim, 3, patch, patch),
        "vision_model.embeddings.patch_embedding.bias": (dim,),
    }
    for layer in range(s["layers"]):
        name = f"vision_model.encoder.layers.{layer}"
        found |= linear(f"{name}.self_attn.qkv", dim, 3 * dim)
        found |= linear(f"{name}.self_attn.projection", dim, dim)
        found |= norm(f"{name}.layer_norm1", dim) | norm(f"{name}.layer_norm2", dim)
        found |= linear(f"{name}.mlp.fc1", dim, 4 * dim) | linear(f"{name}.mlp.fc2", 4 * dim, dim)
    return found | norm("vision_model.post_layernorm", dim)


def _text(s: dict) -> Shapes:
    dim, vocab = s["text"], s["vocab"] + 2
    inside = "text_decoder.bert"
    found: Shapes = {
        f"{inside}.embeddings.word_embeddings.weight": (vocab, dim),
        f"{inside}.embeddings.position_embeddings.weight": (512, dim),
        **norm(f"{inside}.embeddings.LayerNorm", dim),
    }
    for layer in range(s["text_layers"]):
        name = f"{inside}.encoder.layer.{layer}"
        found |= bert_attention(f"{name}.attention", dim)
        found |= bert_attention(f"{name}.crossattention", dim, of=s["dim"])
        found |= bert_feed_forward(name, dim, 4 * dim)
    found |= {"text_decoder.cls.predictions.bias": (vocab,)}
    found |= linear("text_decoder.cls.predictions.transform.dense", dim, dim)
    return found | norm("text_decoder.cls.predictions.transform.LayerNorm", dim)


def _config(s: dict) -> dict:
    text = {
        "attention_probs_dropout_prob": 0.0,
        "bos_token_id": s["vocab"],
        "encoder_hidden_size": s["dim"],
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": s["text"],
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 4 * s["text"],
        "is_decoder": True,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "blip_text_model",
        "num_attention_heads": s["text_heads"],
        "num_hidden_layers": s["text_layers"],
        "pad_token_id": 0,
        "projection_dim": 768,
        "sep_token_id": 102,
        "transformers_version": "4.26.0.dev0",
        "use_cache": True,
        "vocab_size": s["vocab"] + 2,
    }
    vision = {
        "attention_dropout": 0.0,
        "dropout": 0.0,
        "hidden_act": "gelu",
        "hidden_size": s["dim"],
        "image_size": s["image"],
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 4 * s["dim"],
        "layer_norm_eps": 1e-05,
        "model_type": "blip_vision_model",
        "num_attention_heads": s["heads"],
        "num_channels": 3,
        "num_hidden_layers": s["layers"],
        "patch_size": s["patch"],
        "projection_dim": 512,
        "transformers_version": "4.26.0.dev0",
    }
    return {
        "_commit_hash": None,
        "architectures": ["BlipForConditionalGeneration"],
        "image_text_hidden_size": 256,
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "blip",
        "projection_dim": 512,
        "text_config": text,
        "torch_dtype": "float32",
        "transformers_version": None,
        "vision_config": vision,
    }
