"""This builds a look-alike of `openai/clip-vit-base-patch32`.

config.json is the one that whaler404/Hf-Learn keeps in
`transformers_learn/api/models/multimodal_models/clip/clip.md`: of 2022, with `text_config_dict` and
an end token that is not the tokenizer's. The names of the tensors, `position_ids` among them, are
listed in public notes on the state of CLIPModel. The weights for torch are published as
pytorch_model.bin alone. The tokenizer is CLIP's own, whose last piece is `<|endoftext|>`. It is
inferred, not seen, what tokenizer_config.json and preprocessor_config.json hold beside the keys
that are read, and that the torch file is zipped.
"""

from pathlib import Path

import torch

from tests.builders.hub import forms, words
from tests.builders.hub.tensors import Shapes, clip_layers, draw, norm

SIZES = {
    "tiny": {
        "vocab": 2000, "text": 24, "text_layers": 2, "text_heads": 2, "dim": 32, "layers": 3,
        "heads": 4, "image": 32, "patch": 8, "joint": 16, "std": 0.2,
    },
    "published": {
        "vocab": 49408, "text": 512, "text_layers": 12, "text_heads": 8, "dim": 768, "layers": 12,
        "heads": 12, "image": 224, "patch": 32, "joint": 512, "std": 0.02,
    },
}  # fmt: skip
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# What transformers 4.16 wrote into the config of every network.
_OF_EVERY = {
    "_name_or_path": "", "add_cross_attention": False, "architectures": None,
    "attention_dropout": 0.0, "bad_words_ids": None, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None, "decoder_start_token_id": None, "diversity_penalty": 0.0,
    "do_sample": False, "dropout": 0.0, "early_stopping": False,
    "encoder_no_repeat_ngram_size": 0, "finetuning_task": None, "forced_bos_token_id": None,
    "forced_eos_token_id": None, "hidden_act": "quick_gelu",
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "initializer_factor": 1.0,
    "initializer_range": 0.02, "is_decoder": False, "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "layer_norm_eps": 1e-05, "length_penalty": 1.0,
    "max_length": 20, "min_length": 0, "no_repeat_ngram_size": 0, "num_beam_groups": 1,
    "num_beams": 1, "num_return_sequences": 1, "output_attentions": False,
    "output_hidden_states": False, "output_scores": False, "prefix": None, "problem_type": None,
    "pruned_heads": {}, "remove_invalid_values": False, "repetition_penalty": 1.0,
    "return_dict": True, "return_dict_in_generate": False, "sep_token_id": None,
    "task_specific_params": None, "temperature": 1.0, "tie_encoder_decoder": False,
    "tie_word_embeddings": True, "tokenizer_class": None, "top_k": 50, "top_p": 1.0,
    "torch_dtype": None, "torchscript": False, "transformers_version": "4.16.0.dev0",
    "use_bfloat16": False,
}  # fmt: skip


def build(folder: Path, size: str = "tiny", *, seed: int = 9) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = draw(shapes(s), seed, s["std"])
    tensors["logit_scale"] = torch.tensor(4.6052)
    n_places = (s["image"] // s["patch"]) ** 2 + 1
    buffers = {
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "vision_model.embeddings.position_ids": torch.arange(n_places)[None],
    }
    forms.write_bin(folder, tensors | buffers)
    forms.write_json(folder / "config.json", config(s))
    write_tokenizer(folder, s["vocab"])
    forms.write_json(
        folder / "preprocessor_config.json",
        {
            "crop_size": s["image"],
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": MEAN,
            "image_std": STD,
            "resample": 3,
            "size": s["image"],
        },
    )
    return tensors


def shapes(s: dict) -> Shapes:
    """Return the shapes of both towers and what joins them."""
    text, dim = s["text"], s["dim"]
    found: Shapes = {
        "logit_scale": (),
        "text_model.embeddings.token_embedding.weight": (s["vocab"], text),
        "text_model.embeddings.position_embedding.weight": (77, text),
        **clip_layers("text_model.", dim=text, inner=4 * text, layers=s["text_layers"]),
        **norm("text_model.final_layer_norm", text),
        "vision_model.embeddings.class_embedding": (dim,),
        "vision_model.embeddings.patch_embedding.weight": (dim, 3, s["patch"], s["patch"]),
        "vision_model.embeddings.position_embedding.weight": (
            (s["image"] // s["patch"]) ** 2 + 1,
            dim,
        ),
        **norm("vision_model.pre_layrnorm", dim),
        **clip_layers("vision_model.", dim=dim, inner=4 * dim, layers=s["layers"]),
        **norm("vision_model.post_layernorm", dim),
    }
    found |= {"visual_projection.weight": (s["joint"], dim)}
    return found | {"text_projection.weight": (s["joint"], text)}


def config(s: dict) -> dict:
    """Return config.json."""
    text = {
        **_OF_EVERY,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_size": s["text"],
        "intermediate_size": 4 * s["text"],
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "num_attention_heads": s["text_heads"],
        "num_hidden_layers": s["text_layers"],
        "pad_token_id": 1,
        "projection_dim": s["joint"],
        "vocab_size": s["vocab"],
    }
    vision = {
        **_OF_EVERY,
        "bos_token_id": None,
        "eos_token_id": None,
        "hidden_size": s["dim"],
        "image_size": s["image"],
        "intermediate_size": 4 * s["dim"],
        "model_type": "clip_vision_model",
        "num_attention_heads": s["heads"],
        "num_hidden_layers": s["layers"],
        "pad_token_id": None,
        "patch_size": s["patch"],
        "projection_dim": s["joint"],
    }
    return {
        "_name_or_path": "openai/clip-vit-base-patch32",
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": s["joint"],
        "text_config": text,
        "text_config_dict": None,
        "transformers_version": None,
        "vision_config": vision,
        "vision_config_dict": None,
    }


def write_tokenizer(folder: Path, size: int) -> None:
    """Write the files of the tokenizer; both end pieces come last."""
    pieces, merges = words.lower_byte_pairs()
    ends = "<|startoftext|>", "<|endoftext|>"
    listed = [*words.filled(pieces, size - 2, "filler{}"), *ends]
    ids = {piece: number for number, piece in enumerate(listed)}
    forms.write_json(folder / "vocab.json", ids)
    (folder / "merges.txt").write_text(words.merges_file(merges), "utf-8")
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    split = {"type": "Split", "pattern": {"Regex": _WORD}, "behavior": "Removed", "invert": True}
    blanks = {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}
    content = words.byte_level_json(
        ids, merges, ends, ends,
        normalizer={
            "type": "Sequence", "normalizers": [{"type": "NFC"}, blanks, {"type": "Lowercase"}],
        },
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, level]},
        model={"unk_token": ends[1], "end_of_word_suffix": "</w>"},
    )  # fmt: skip
    forms.write_json(folder / "tokenizer.json", content)
    start, end = (
        {
            "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": True, "__type": "AddedToken",
        }
        for piece in ends
    )  # fmt: skip
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": "<|endoftext|>"}
    forms.write_json(folder / "special_tokens_map.json", special)
    options = {"add_prefix_space": False, "errors": "replace", "do_lower_case": True}
    forms.write_json(
        folder / "tokenizer_config.json",
        {**special, **options, "name_or_path": "./clip_ViT_B_32/", "model_max_length": 77},
    )
