"""Write an ordinary checkpoint folder with random weights, for runs without pretrained ones.

The same config and seed give the same bytes. Loaders cannot tell such a folder from a pretrained
one, so it carries `random.json`, and every stage that reads it says so in its log.
"""

import logging
import shutil
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extract.atomic import write_json
from extract.checkpoints import quiet_transformers
from extract.errors import ConfigError, near_match

logger = logging.getLogger(__name__)

MARKER = "random.json"


def write_random_weights(config: Mapping[str, Any], seed: int, out: Path) -> None:
    """Write a checkpoint folder with random weights; an older one of the same kind is replaced.

    Args:
        config: `{"kind": ...}` and that kind's keys:
            `vgg`: `layers` (`"vgg16"` or `[64, "M", ...]`), `batch_norm`, `input_size`;
            `clip`: the fields of CLIPVisionConfig; `clip_text`: the fields of CLIPTextConfig;
            `blip`: `vision` and `text`, the fields of the two BLIP configs.
        seed: of the weights.
        out: folder to write.

    Raises:
        ConfigError: an unknown kind or key, or `out` is something that this did not write.
    """
    kind = config.get("kind")
    if kind not in _WRITERS:
        raise ConfigError(
            f"random weights: unknown kind {kind!r}; known: {', '.join(_WRITERS)}."
            f"{near_match(str(kind), _WRITERS)}"
        )
    _refuse_other_folder(out)
    logger.warning("%s: RANDOM weights of kind %s, seed %d (asked for)", out, kind, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as tmp:
        folder = Path(tmp) / out.name
        folder.mkdir()
        _write_seeded(
            _WRITERS[kind], {k: v for k, v in config.items() if k != "kind"}, seed, folder
        )
        write_json(folder / MARKER, {"config": dict(config), "seed": seed})
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)


def _refuse_other_folder(out: Path) -> None:
    """Never delete a checkpoint that somebody else put there."""
    is_ours = (out / MARKER).is_file() or (out.is_dir() and not any(out.iterdir()))
    if out.exists() and not is_ours:
        raise ConfigError(
            f"{out}: exists and was not written by `weights` (no {MARKER}). Move it away or choose "
            "another --out."
        )


def _write_seeded(
    write: Callable[[dict[str, Any], Path], None], config: dict[str, Any], seed: int, folder: Path
) -> None:
    """Call a writer with torch seeded, leaving the caller's random state as it was."""
    import torch

    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(seed)
        write(config, folder)


def _write_vgg(config: dict[str, Any], folder: Path) -> None:
    """He initialisation, as torchvision's untrained VGG networks have it."""
    import torch
    from safetensors.torch import save_file

    from extract.extractors.vgg import IMAGENET_MEAN, IMAGENET_STD, build_features, read_config

    full = {
        "architecture": "vgg",
        "layers": "vgg16",
        "batch_norm": False,
        "input_size": 224,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    _check_keys(config, full, "vgg")
    full |= config
    if full["layers"] == "vgg16":
        full["layers"] = read_config(folder)["layers"]
    write_json(folder / "config.json", full)
    features = build_features(read_config(folder))
    for module in features:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            torch.nn.init.zeros_(module.bias)
    tensors = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _write_clip(config: dict[str, Any], folder: Path) -> None:
    """A vision tower with projection, and the preprocessing that goes with it."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from extract.extractors.clip import CLIP_MEAN, CLIP_STD

    model = CLIPVisionModelWithProjection(_make_config(CLIPVisionConfig, config, "clip"))
    model.save_pretrained(folder)
    size = model.config.image_size
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": size},
            "crop_size": {"height": size, "width": size},
            "resample": 3,
            "image_mean": CLIP_MEAN,
            "image_std": CLIP_STD,
        },
    )


def _write_clip_text(config: dict[str, Any], folder: Path) -> None:
    """A text tower with projection, and a tokenizer that spells words byte by byte."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    characters = sorted(ByteLevel.alphabet())
    words = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=[],
        model_max_length=config.get("max_position_embeddings", 77),
    )
    ids = {
        "vocab_size": len(words),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    _refuse_keys(config, ids, "clip_text")
    model = CLIPTextModelWithProjection(_make_config(CLIPTextConfig, config | ids, "clip_text"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_blip(config: dict[str, Any], folder: Path) -> None:
    """A captioner, its image processor, and a tokenizer that spells words letter by letter."""
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessorPil,
        BlipProcessor,
        BlipTextConfig,
        BlipVisionConfig,
    )

    _check_keys(config, ("vision", "text"), "blip")
    vision = _make_config(BlipVisionConfig, config.get("vision", {}), "blip.vision")
    letters = string.ascii_lowercase + string.digits + string.punctuation
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    words = [*special, *letters, *(f"##{letter}" for letter in letters)]
    vocab = {word: index for index, word in enumerate(words)}
    tokenizer = BertTokenizer(vocab=vocab, bos_token="[DEC]")
    ids = {
        "vocab_size": len(words),
        "bos_token_id": words.index("[DEC]"),
        "sep_token_id": words.index("[SEP]"),
        "eos_token_id": words.index("[SEP]"),
        "pad_token_id": words.index("[PAD]"),
        "encoder_hidden_size": vision.hidden_size,
    }
    text = config.get("text", {})
    _refuse_keys(text, ids, "blip.text")
    text_config = _make_config(BlipTextConfig, text | ids, "blip.text")
    model = BlipForConditionalGeneration(
        BlipConfig(vision_config=vision.to_dict(), text_config=text_config.to_dict())
    )
    model.save_pretrained(folder)
    size = {"height": vision.image_size, "width": vision.image_size}
    BlipProcessor(BlipImageProcessorPil(size=size), tokenizer).save_pretrained(folder)


def _make_config(config_class: type, values: Mapping[str, Any], where: str) -> Any:
    """Build a transformers config; unlike the class itself, refuse names that it does not know."""
    _check_keys(values, config_class().to_dict(), where)
    try:
        return config_class(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"random weights: {where}: {' '.join(str(error).split())}") from error


def _check_keys(config: Mapping[str, Any], known: Any, where: str) -> None:
    for name in config:
        if name not in known:
            raise ConfigError(
                f"random weights: {where}: unknown key '{name}'.{near_match(name, known)}"
            )


def _refuse_keys(config: Mapping[str, Any], fixed: Mapping[str, Any], where: str) -> None:
    for name in config:
        if name in fixed:
            raise ConfigError(f"random weights: {where}: '{name}' follows from the tokenizer.")


_WRITERS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "vgg": _write_vgg,
    "clip": _write_clip,
    "clip_text": _write_clip_text,
    "blip": _write_blip,
}
