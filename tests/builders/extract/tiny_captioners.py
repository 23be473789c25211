"""Random captioners of a few thousand weights, saved as the published ones are, one a kind.

Their initialisation is wide, so that captions depend on the image.
"""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from extract.networks.random_weights import write_random_weights

TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION = {**TINY, "image_size": 32, "patch_size": 8, "initializer_range": 0.5}
LETTERS = string.ascii_lowercase


def write_blip(folder: Path) -> None:
    """An encoder-decoder whose decoder begins with the prompt."""
    text = {**TINY, "initializer_range": 0.5}
    write_random_weights({"kind": "blip", "vision": VISION, "text": text}, 0, folder)


def write_blip2(folder: Path) -> None:
    """A decoder whose prompt holds image tokens."""
    from transformers import (
        BertTokenizer,
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        BlipImageProcessorPil,
        OPTConfig,
    )

    words = ["<pad>", "</s>", "<unk>", "<m>", *LETTERS, *(f"##{c}" for c in LETTERS)]
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        **dict.fromkeys(("cls_token", "sep_token", "bos_token", "eos_token"), "</s>"),
        **{"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<m>"},
    )
    image_processor = BlipImageProcessorPil(size={"height": 32, "width": 32})
    processor = Blip2Processor(image_processor, tokenizer, num_query_tokens=4)
    text_config = OPTConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        init_std=0.5,
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1},
    )
    config = Blip2Config(
        vision_config=VISION,
        qformer_config={**TINY, "encoder_hidden_size": 16, "vocab_size": 40},
        text_config=text_config.to_dict(),
        num_query_tokens=4,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = Blip2ForConditionalGeneration(config)
    model.generation_config.update(eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def write_git(folder: Path) -> None:
    """A decoder that sees the image through its cache; its tokenizer closes a prompt."""
    from transformers import (
        BertTokenizer,
        CLIPImageProcessorPil,
        GitConfig,
        GitForCausalLM,
        GitProcessor,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS)]
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    config = GitConfig(
        vision_config=VISION,
        vocab_size=len(words),
        initializer_range=0.5,
        max_position_embeddings=64,
        **{**TINY, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
    )
    GitForCausalLM(config).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    GitProcessor(CLIPImageProcessorPil(**sizes), tokenizer).save_pretrained(folder)


def write_vit_gpt2(folder: Path) -> None:
    """An encoder-decoder without a processor class; its end token also starts and pads."""
    from transformers import (
        GPT2Config,
        GPT2Tokenizer,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
    )

    words = [*_bytes(), "<|endoftext|>"]
    end = len(words) - 1
    ids = {"bos_token_id": end, "eos_token_id": end}
    decoder = GPT2Config(
        vocab_size=len(words),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.5,
        add_cross_attention=True,
        is_decoder=True,
        **ids,
    )
    ids |= {"decoder_start_token_id": end, "pad_token_id": end}
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**VISION), decoder, tie_word_embeddings=False, **ids
    )
    model = VisionEncoderDecoderModel(config)
    model.generation_config.update(**ids)
    model.save_pretrained(folder)
    vocab = {word: index for index, word in enumerate(words)}
    GPT2Tokenizer(vocab=vocab, merges=[], pad_token="<|endoftext|>").save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def write_florence2(folder: Path) -> None:
    """An encoder-decoder whose encoder reads the image beside a task's prompt."""
    from transformers import (
        BartConfig,
        BartTokenizer,
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
        Florence2VisionConfig,
    )

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<image>", *_bytes()]
    tokenizer = BartTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=[],
        extra_special_tokens={"image_token": "<image>"},
    )
    image_processor = CLIPImageProcessorPil(size={"height": 64, "width": 64}, do_center_crop=False)
    # 2 x 2 cells of 32 px, and their mean.
    image_processor.image_seq_length = 5
    halves = {
        f"{part}_{name}": value
        for part in ("encoder", "decoder")
        for name, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    text = BartConfig(
        vocab_size=len(words), d_model=16, init_std=0.5, max_position_embeddings=128, **halves
    )
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1),
        embed_dim=(8, 8, 16, 16),
        num_heads=(1, 1, 2, 2),
        num_groups=(1, 1, 2, 2),
        window_size=4,
        projection_dim=16,
        initializer_range=0.5,
    )
    config = Florence2Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        image_token_id=words.index("<image>"),
    )
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    Florence2Processor(image_processor, tokenizer).save_pretrained(folder)


def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


WRITERS: dict[str, Callable[[Path], Any]] = {
    "blip": write_blip,
    "blip2": write_blip2,
    "git": write_git,
    "vit_gpt2": write_vit_gpt2,
    "florence2": write_florence2,
}


def write_captioner(kind: str, folder: Path) -> Path:
    """Write the checkpoint of one kind, the same whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        WRITERS[kind](folder)
    return folder
