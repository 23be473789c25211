"""This builds look-alikes of Florence-2 (base): the converted and the original repository.

`florence-community/Florence-2-base` is what transformers reads; `microsoft/Florence-2-base` brings
Python code (`auto_map` in config.json and preprocessor_config.json). The script in transformers
that converts the one into the other gives the names on both sides, the transposed
`image_projection`, the added `<image>` and the table of pieces that is filled up to a multiple of
64. It is inferred, not seen, what config.json of the original holds beside the keys that the script
reads.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tests.builders.hub import forms, words
from tests.builders.hub.clip import MEAN, STD

SIZES = {
    "tiny": {
        "vocab": 1856, "dim": 16, "layers": 1, "heads": 2, "inner": 32, "positions": 128,
        "depths": [1, 1, 1, 1], "embed": [8, 8, 16, 16], "vision_heads": [1, 1, 2, 2],
        "window": 4, "image": 64, "std": 0.5,
    },
    "published": {
        "vocab": 51328, "dim": 768, "layers": 6, "heads": 12, "inner": 3072, "positions": 1024,
        "depths": [1, 1, 9, 1], "embed": [128, 256, 512, 1024], "vision_heads": [4, 8, 16, 32],
        "window": 12, "image": 768, "std": 0.02,
    },
}  # fmt: skip
# Names of the converted network and of the original, as the script pairs them.
_ORIGINAL = (
    (".conv.", ".proj."),
    (".conv1.", ".conv1.fn.dw."),
    (".conv2.", ".conv2.fn.dw."),
    (".spatial_block.norm1.", ".spatial_block.window_attn.norm."),
    (".channel_block.norm1.", ".channel_block.channel_attn.norm."),
    (".norm2.", ".ffn.norm."),
    (".window_attn.qkv.", ".window_attn.fn.qkv."),
    (".window_attn.proj.", ".window_attn.fn.proj."),
    (".channel_attn.qkv.", ".channel_attn.fn.qkv."),
    (".channel_attn.proj.", ".channel_attn.fn.proj."),
    (".ffn.fc", ".ffn.fn.net.fc"),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.image_projection.weight", "image_projection"),
    ("model.multi_modal_projector.image_position_embed.", "image_pos_embed."),
    ("model.multi_modal_projector.", ""),
    ("model.language_model.", "language_model.model."),
)


def build(folder: Path, size: str = "tiny", *, seed: int = 13) -> dict[str, torch.Tensor]:
    """Write the converted folder; return its tensors by their names in the file."""
    s = SIZES[size]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _save(s, folder)
    tensors = forms.read(folder)
    forms.write_safetensors(folder, tensors)
    return tensors


def build_original(folder: Path, size: str = "tiny", *, seed: int = 13) -> dict[str, torch.Tensor]:
    """Write the folder with code of its own; return its tensors by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    with TemporaryDirectory() as tmp:
        converted = build(Path(tmp) / "converted", size, seed=seed)
    renamed = {}
    for name, tensor in converted.items():
        for new, old in _ORIGINAL:
            name = name.replace(new, old)
        renamed[name] = tensor.T.contiguous() if name == "image_projection" else tensor
    forms.write_bin(folder, renamed)
    code = "configuration_florence2.Florence2Config", "modeling_florence2"
    forms.write_json(
        folder / "config.json",
        {
            "architectures": ["Florence2ForConditionalGeneration"],
            "auto_map": {
                "AutoConfig": code[0],
                "AutoModelForCausalLM": f"{code[1]}.Florence2ForConditionalGeneration",
            },
            "is_encoder_decoder": True,
            "model_type": "florence2",
            "projection_dim": s["dim"],
            "text_config": {**_text(s), "model_type": "florence2_language"},
            "torch_dtype": "float16",
            "vision_config": {
                "dim_embed": s["embed"],
                "depths": s["depths"],
                "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 50},
                "model_type": "davit",
                "num_groups": s["vision_heads"],
                "num_heads": s["vision_heads"],
                "projection_dim": s["dim"],
                "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 100},
                "window_size": s["window"],
            },
            "vocab_size": s["vocab"],
        },
    )
    for name in ("configuration_florence2", "modeling_florence2", "processing_florence2"):
        (folder / f"{name}.py").write_text("raise SystemExit('code of a checkpoint was run')\n")
    forms.write_json(
        folder / "preprocessor_config.json",
        {
            "auto_map": {"AutoProcessor": "processing_florence2.Florence2Processor"},
            "image_processor_type": "CLIPImageProcessor",
            "image_mean": MEAN,
            "image_std": STD,
        },
    )
    _bart_files(folder, s["vocab"])
    return renamed


def _save(s: dict, folder: Path) -> None:
    """Write the converted network with transformers."""
    from transformers import (
        BartTokenizer,
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
        Florence2VisionConfig,
    )

    vision = Florence2VisionConfig(
        depths=s["depths"],
        embed_dim=s["embed"],
        num_heads=s["vision_heads"],
        num_groups=s["vision_heads"],
        window_size=s["window"],
        projection_dim=s["dim"],
        initializer_range=s["std"],
    )
    with TemporaryDirectory() as tmp:
        # 64 more pieces would be filling; `<image>` takes the first of them.
        _bart_files(Path(tmp), s["vocab"] - 64)
        tokenizer = BartTokenizer.from_pretrained(
            tmp, extra_special_tokens={"image_token": "<image>"}
        )
    config = Florence2Config(
        text_config=_text(s),
        vision_config=vision.to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"height": s["image"], "width": s["image"]}, do_center_crop=False
    )
    # Cells of 32 px, and their mean.
    images.image_seq_length = (s["image"] // 32) ** 2 + 1
    Florence2Processor(images, tokenizer).save_pretrained(folder)


def _text(s: dict) -> dict:
    halves = {
        f"{part}_{name}": value
        for part in ("encoder", "decoder")
        for name, value in (
            ("layers", s["layers"]), ("attention_heads", s["heads"]), ("ffn_dim", s["inner"]),
        )
    }  # fmt: skip
    return {
        **halves,
        "d_model": s["dim"],
        "init_std": s["std"],
        "max_position_embeddings": s["positions"],
        "model_type": "bart",
        "vocab_size": s["vocab"],
    }


def _bart_files(folder: Path, size: int) -> None:
    """Write BART's vocab.json and merges.txt."""
    pieces, merges = words.byte_pairs()
    first = ["<s>", "<pad>", "</s>", "<unk>", *pieces]
    listed = [*words.filled(first, size - 1, "filler{}"), "<mask>"]
    forms.write_json(folder / "vocab.json", {piece: n for n, piece in enumerate(listed)})
    (folder / "merges.txt").write_text(words.merges_file(merges), "utf-8")
