"""Write an ordinary checkpoint folder with random weights, for runs without pretrained ones.

The same config and seed give the same bytes. Loaders cannot tell such a folder from a pretrained
one, so it carries `random.json`, and every stage that reads it says so in its log.
"""

import logging
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError, near_match
from extract.core.files import write_json
from extract.networks.checkpoints.made_folder import checkpoint_folder
from extract.networks.checkpoints.reading import quiet_transformers

logger = logging.getLogger(__name__)

MARKER = "random.json"


def write_random_weights(config: Mapping[str, Any], seed: int, out: Path) -> None:
    """Write a checkpoint folder with random weights; an older one of the same kind is replaced.

    Args:
        config: `{"kind": ...}` and that kind's keys:
            `vgg`: `layers` (`"vgg16"` or `[64, "M", ...]`), `batch_norm`, `input_size`;
            `clip`: the fields of CLIPVisionConfig; `clip_text`: the fields of CLIPTextConfig;
            `clip_full`: `vision`, `text` and `projection_dim`, both towers of CLIP;
            `blip`: `vision` and `text`, the fields of the two BLIP configs;
            `resnet`: `layers` (blocks of each stage), `groups`, `width_per_group`;
            `faster_rcnn`: `architecture` and `labels` (null means COCO's);
            `grounding_dino`: `vision` and `text`, the fields of SwinConfig and BertConfig, and
            those of GroundingDinoConfig.
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
    with checkpoint_folder(out, MARKER, {"config": dict(config), "seed": seed}) as folder:
        logger.warning("%s: RANDOM weights of kind %s, seed %d (asked for)", out, kind, seed)
        fields = {key: value for key, value in config.items() if key != "kind"}
        _write_seeded(_WRITERS[kind], fields, seed, folder)


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

    from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD
    from extract.networks.vgg_layers import build_features, read_config

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

    model = CLIPVisionModelWithProjection(_make_config(CLIPVisionConfig, config, "clip"))
    model.save_pretrained(folder)
    write_clip_preprocessing(model.config.image_size, folder)


def write_clip_preprocessing(size: int, folder: Path) -> None:
    """Write preprocessor_config.json: squares of `size` px, CLIP's pixel statistics."""
    from extract.networks.pixels import CLIP_MEAN, CLIP_STD

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
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    tokenizer, ids = _clip_tokenizer(config)
    _refuse_keys(config, ids, "clip_text")
    model = CLIPTextModelWithProjection(_make_config(CLIPTextConfig, config | ids, "clip_text"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_clip_full(config: dict[str, Any], folder: Path) -> None:
    """Both towers in one model, with tokenizer and preprocessing."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    _check_keys(config, ("vision", "text", "projection_dim"), "clip_full")
    width = {"projection_dim": config.get("projection_dim", 512)}
    vision, text = dict(config.get("vision", {})), dict(config.get("text", {}))
    tokenizer, ids = _clip_tokenizer(text)
    _refuse_keys(text, ids, "clip_full.text")
    vision = _make_config(CLIPVisionConfig, vision | width, "clip_full.vision")
    text = _make_config(CLIPTextConfig, text | ids | width, "clip_full.text")
    model = CLIPModel(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), **width)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_clip_preprocessing(vision.image_size, folder)


def _clip_tokenizer(text: Mapping[str, Any]) -> tuple[Any, dict[str, int]]:
    """Return a tokenizer that spells words byte by byte, and the config fields it decides."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    characters = sorted(ByteLevel.alphabet())
    words = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=[],
        model_max_length=text.get("max_position_embeddings", 77),
    )
    ids = {
        "vocab_size": len(words),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return tokenizer, ids


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


def _write_grounding_dino(config: dict[str, Any], folder: Path) -> None:
    """An open-vocabulary detector, its preprocessing, and a tokenizer that spells words."""
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        SwinConfig,
    )

    from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD

    words = _bert_words()
    # The detector knows its delimiters by their numbers in BERT's vocabulary.
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    fields = {name: value for name, value in config.items() if name not in ("vision", "text")}
    for name, part in (("vision", "backbone_config"), ("text", "text_config")):
        if part in fields:
            raise ConfigError(f"random weights: grounding_dino: write '{name}' for '{part}'.")
    ids = {"vocab_size": len(words), "pad_token_id": 0}
    vision, text = config.get("vision", {}), config.get("text", {})
    _refuse_keys(text, ids, "grounding_dino.text")
    backbone = _make_config(SwinConfig, vision, "grounding_dino.vision")
    if "out_indices" not in vision:
        # The three coarsest stages, as in the published detector.
        backbone.out_indices = tuple(range(len(backbone.depths) + 1))[-3:]
    text_config = _make_config(BertConfig, text | ids, "grounding_dino.text")
    whole = _make_config(GroundingDinoConfig, fields, "grounding_dino").to_dict()
    if whole["decoder_layers"] < 2:
        raise ConfigError("random weights: grounding_dino: needs at least 2 decoder_layers.")
    whole |= {"backbone_config": backbone.to_dict(), "text_config": text_config.to_dict()}
    model = GroundingDinoForObjectDetection(GroundingDinoConfig.from_dict(whole))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "size": {"shortest_edge": 800, "longest_edge": 1333},
            "resample": 2,
            "image_mean": IMAGENET_MEAN,
            "image_std": IMAGENET_STD,
        },
    )


def _bert_words() -> list[str]:
    """Return a vocabulary of single characters, each where BERT's uncased vocabulary has it."""
    characters = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    words = [f"[unused{index}]" for index in range(999)]
    words[:1], words[100:104] = ["[PAD]"], ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*words, *characters, *(f"##{character}" for character in characters)]


def _write_resnet(config: dict[str, Any], folder: Path) -> None:
    """A ResNet with bottleneck blocks, by torchvision's names, without a classifier's use."""
    from safetensors.torch import save_file
    from torchvision.models.resnet import Bottleneck, ResNet

    full = {"layers": [3, 4, 6, 3], "groups": 1, "width_per_group": 64}
    _check_keys(config, full, "resnet")
    full |= config
    network = ResNet(
        Bottleneck, list(full["layers"]), 1, groups=full["groups"],
        width_per_group=full["width_per_group"],
    )  # fmt: skip
    _calm_residuals(network)
    write_json(folder / "config.json", {"architecture": "resnet", **full})
    save_file(network.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


def _write_faster_rcnn(config: dict[str, Any], folder: Path) -> None:
    """A detector of torchvision; its boxes and classes mean nothing."""
    from safetensors.torch import save_file

    from extract.networks.detection import build_detector, read_detector_config
    from extract.networks.vocabularies import read_vocabulary

    full: dict[str, Any] = {"architecture": "fasterrcnn_resnet50_fpn", "labels": None}
    _check_keys(config, full, "faster_rcnn")
    full |= config
    full["labels"] = list(full["labels"] or read_vocabulary("coco"))
    write_json(folder / "config.json", full)
    read = read_detector_config(folder)
    network = build_detector(read, read.architecture)
    _calm_residuals(network)
    save_file(network.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


def _calm_residuals(network: Any) -> None:
    """Let each residual branch add little, or activations would double with every block."""
    import torch
    from torchvision.models.resnet import BasicBlock, Bottleneck

    for module in network.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
            torch.nn.init.constant_(last.weight, 0.2)


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
    "clip_full": _write_clip_full,
    "blip": _write_blip,
    "resnet": _write_resnet,
    "faster_rcnn": _write_faster_rcnn,
    "grounding_dino": _write_grounding_dino,
}
