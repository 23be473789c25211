"""Tiny random checkpoints of every role of Co-MIPN, and examples with stored pixels."""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoTokenizer,
    BertTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    ViTConfig,
    ViTModel,
)

from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from train.data.examples import Example
from train.systems.co_mipn.model import Model
from train.systems.co_mipn.options import Options

TYPES = ["PER", "LOC", "ORG", "MISC"]
SIZE = 32
"""Side of the images in px; 17 tokens for both towers."""
SENTENCE_PIECES = 90
"""Vocabulary of the sentence encoder, smaller than the text encoder's."""
SIZES = {"max_pieces": 32, "prompt_len": 6, "prompt_hidden": 10, "contrastive_dim": 12}
PRESETS = {"upstream": Options.upstream, "fixed": Options}
SENTENCES = [
    ("Kevin Durant plays for the Warriors in Oakland", "B-PER I-PER O O O B-ORG O B-LOC"),
    ("the dog", "O O"),
    ("see you at Madison Square Garden , New York", "O O O B-MISC I-MISC I-MISC O B-LOC I-LOC"),
]


def write_checkpoints(root: Path, encoder: Path) -> dict[str, Path]:
    """Write the towers and the sentence encoder; return role -> folder."""
    torch.manual_seed(11)
    networks = {
        "vision": CLIPVisionModel(CLIPVisionConfig(**_sizes(24), image_size=SIZE, patch_size=8)),
        "dino": ViTModel(ViTConfig(**_sizes(20), image_size=SIZE, patch_size=8)),
        "sentence": AlbertModel(
            AlbertConfig(
                **_sizes(16), vocab_size=SENTENCE_PIECES, embedding_size=8, hidden_act="gelu_new"
            )
        ),
    }
    for role, network in networks.items():
        network.save_pretrained(root / role)
    vocabulary = AutoTokenizer.from_pretrained(encoder).get_vocab()
    fewer = {piece: number for piece, number in vocabulary.items() if number < SENTENCE_PIECES}
    BertTokenizer(vocab=fewer, do_lower_case=True).save_pretrained(root / "sentence")
    return {"encoder": encoder, **{role: root / role for role in networks}}


def _sizes(width: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 2 * width,
    }


def build(folders: dict[str, Path], preset: str = "fixed", *, seed: int = 0, **changes) -> Model:
    """Return a tiny model in evaluation mode, with weights large enough to matter."""
    torch.manual_seed(seed)
    options = PRESETS[preset](**{**SIZES, **changes})
    model = Model(options, {"entity_types": TYPES}, folders).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and not name.startswith("crf"):
                parameter.mul_(2)
    return model


def stored(rng: np.random.Generator, n_rows: int) -> StoredItem:
    """Return an item with so many random squares; none at all is a missing image."""
    if not n_rows:
        return StoredItem(STATUS["missing"], "gone")
    rows = rng.integers(0, 256, (n_rows, SIZE * SIZE * 3), dtype=np.uint8)
    return StoredItem(STATUS["ok"], features=rows)


def example(number: int, *, whole=True, crops=3, tagged=True, text=None, tags=None) -> Example:
    """Return one of the sentences with random images of its own."""
    words, gold = SENTENCES[number % len(SENTENCES)]
    words, gold = text or words.split(), tags or gold.split()
    rng = np.random.default_rng(number)
    sample = Sample(f"s{number}", f"i{number}", words, gold if tagged else None)
    return Example(sample, {"image": stored(rng, int(whole)), "crops": stored(rng, crops)})


def examples(**changes) -> list[Example]:
    return [example(number, **changes) for number in range(len(SENTENCES))]


def real(batch: dict, emissions: torch.Tensor) -> list[torch.Tensor]:
    """Return the emissions of the real pieces of each sentence."""
    return [row[mask] for row, mask in zip(emissions, batch["mask"], strict=True)]


def double(batch: dict) -> dict:
    return {**batch, "images": batch["images"].double()}
