"""This builds a look-alike of `IDEA-Research/grounding-dino-tiny`.

The names are those that transformers' GroundingDinoForObjectDetection writes. As in 2024 the file
holds the buffers `relative_position_index`, and its backbone has no last layer norm: transformers
lists both among what a file may hold or lack. The one box head stands as `bbox_embed.0` in the tiny
file and as `model.decoder.bbox_embed.0` in that of the base size (a public probe of both). The
tokenizer is BERT's, whose ids the network knows. It is inferred, not seen, what config.json holds
beside the keys that are read, and that `position_ids` of the text encoder is in the file.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file

from tests.builders.hub import bert, forms

SIZES = {
    "tiny": {
        "vocab": 2000, "text": 16, "text_layers": 1, "text_heads": 2, "dim": 32, "embed": 8,
        "depths": [1, 1, 1, 1], "swin_heads": [1, 1, 2, 2], "window": 4, "image": 64, "queries": 20,
        "layers": 2, "heads": 2, "inner": 32,
    },
    "published": {
        "vocab": 30522, "text": 768, "text_layers": 12, "text_heads": 12, "dim": 256, "embed": 96,
        "depths": [2, 2, 6, 2], "swin_heads": [3, 6, 12, 24], "window": 7, "image": 224,
        "queries": 900, "layers": 6, "heads": 8, "inner": 2048,
    },
}  # fmt: skip


def build(
    folder: Path, size: str = "tiny", *, seed: int = 12, box_head: str = "bbox_embed.0"
) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network by transformers' own names.

    Args:
        folder: to be made.
        size: `tiny` or `published`.
        seed: of the weights.
        box_head: where the one box head stands in the file.
    """
    s = SIZES[size]
    folder.mkdir(parents=True)
    tensors = _network(s, seed)
    written = {}
    for name, tensor in tensors.items():
        is_head = name.startswith("bbox_embed.0")
        written[name.replace("bbox_embed.0", box_head) if is_head else name] = tensor
        if name.endswith("relative_position_bias_table"):
            index = torch.zeros(s["window"] ** 2, s["window"] ** 2, dtype=torch.long)
            written[name.replace("bias_table", "index")] = index
    written["model.text_backbone.embeddings.position_ids"] = torch.arange(512)[None]
    forms.write_safetensors(folder, written)
    forms.write_json(folder / "config.json", _config(s))
    bert.write_tokenizer(folder, s["vocab"])
    special = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
    forms.write_json(folder / "added_tokens.json", special)
    names = {f"{name.strip('[]').lower()}_token": name for name in special}
    forms.write_json(folder / "special_tokens_map.json", names)
    forms.write_json(
        folder / "tokenizer_config.json",
        {
            **names,
            "do_lower_case": True,
            "model_max_length": 512,
            "processor_class": "GroundingDinoProcessor",
            "tokenizer_class": "BertTokenizer",
        },
    )
    forms.write_json(
        folder / "preprocessor_config.json",
        {
            "do_convert_annotations": True,
            "do_normalize": True,
            "do_pad": True,
            "do_rescale": True,
            "do_resize": True,
            "format": "coco_detection",
            "image_mean": [0.485, 0.456, 0.406],
            "image_processor_type": "GroundingDinoImageProcessor",
            "image_std": [0.229, 0.224, 0.225],
            "processor_class": "GroundingDinoProcessor",
            "resample": 2,
            "rescale_factor": 0.00392156862745098,
            "size": {"longest_edge": 1333, "shortest_edge": 800},
        },
    )
    return tensors


def _network(s: dict, seed: int) -> dict[str, torch.Tensor]:
    """Return the tensors as transformers names them in a file."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as tmp:
        torch.manual_seed(seed)
        model = GroundingDinoForObjectDetection(GroundingDinoConfig.from_dict(_config(s)))
        # A fresh box head answers 0 whatever it sees.
        for head in (model.bbox_embed[0], model.model.encoder_output_bbox_embed):
            for layer in head.layers:
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        model.save_pretrained(tmp)
        saved = load_file(Path(tmp) / "model.safetensors")
    return {name: tensor for name, tensor in saved.items() if ".swin.layernorm." not in name}


def _config(s: dict) -> dict:
    text = bert.config(
        {
            "dim": s["text"], "inner": 4 * s["text"], "layers": s["text_layers"],
            "heads": s["text_heads"], "vocab": s["vocab"],
        },
        positions=512,
    )  # fmt: skip
    backbone = {
        "depths": s["depths"],
        "drop_path_rate": 0.1,
        "embed_dim": s["embed"],
        "hidden_act": "gelu",
        "hidden_size": 8 * s["embed"],
        "image_size": s["image"],
        "model_type": "swin",
        "num_heads": s["swin_heads"],
        "out_features": ["stage2", "stage3", "stage4"],
        "out_indices": [2, 3, 4],
        "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
        "window_size": s["window"],
    }
    return {
        "activation_function": "relu",
        "architectures": ["GroundingDinoForObjectDetection"],
        "auxiliary_loss": False,
        "backbone": None,
        "backbone_config": backbone,
        "backbone_kwargs": None,
        "d_model": s["dim"],
        "decoder_attention_heads": s["heads"],
        "decoder_bbox_embed_share": True,
        "decoder_ffn_dim": s["inner"],
        "decoder_layers": s["layers"],
        "encoder_attention_heads": s["heads"],
        "encoder_ffn_dim": s["inner"],
        "encoder_layers": s["layers"],
        "is_encoder_decoder": True,
        "max_text_len": 256,
        "model_type": "grounding-dino",
        "num_feature_levels": 4,
        "num_queries": s["queries"],
        "position_embedding_type": "sine",
        "text_config": text,
        "torch_dtype": "float32",
        "transformers_version": "4.40.0.dev0",
        "two_stage": True,
        "use_pretrained_backbone": False,
        "use_timm_backbone": False,
    }
