"""The small reference model and batch whose numbers are known, filled by a formula."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, CLIPVisionConfig

from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from tests.builders.letters import write_letters
from train.data.examples import Example
from train.systems.vec_mner.model import Model
from train.systems.vec_mner.options import Options
from train.systems.vec_mner.released_checkpoint import from_released, to_released

VOCABULARY = {"entity_types": ["PER", "LOC", "ORG", "MISC"]}
LENGTHS = (12, 8, 5)
LOGIT_SCALE = 2.6592600345611572
SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 12,
    "intermediate_size": 96,
}
ALL_CLEAN = {
    "visual_score_bias": 0.0,
    "mask_text_padding": True,
    "gate": "sigmoid",
    "soft_pool": "standard",
}

SENTENCES = [
    ("Kevin Durant plays in Oakland tonight", "B-PER I-PER O O B-LOC O"),
    ("the surfboarding dog", "O B-MISC O"),
    ("New", "B-LOC"),
]
ROLES = {"image": (1, 224), "crops": (3, 128), "detector_crops": (3, 64)}
CLEAN = {
    **{"pad_to_max": False, "gate": "sigmoid", "soft_pool": "standard", "visual_score_bias": 0.0},
    **{"mask_text_padding": True, "mask_missing_crops": True, "empty_word": "unk"},
    "special_tag_pred": "outside",
}


def uniform(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return u_name in [-0.5, 0.5), float64."""
    s = sum(name.encode()) % 1009
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    x = 43758.5453 * np.sin((i + 1) * 12.9898 + (s + 1) * 78.233)
    return torch.from_numpy(x - np.floor(x) - 0.5).reshape(shape)


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the values of the parameter with that name in VEC-MNER's released code."""
    if name == "logit_scale":
        return torch.tensor(LOGIT_SCALE, dtype=torch.float64)
    u = uniform(name, shape)
    if len(shape) > 1:
        return 2 * u / np.sqrt(np.prod(shape[1:]))
    if name.endswith("weight"):
        return 1 + 0.2 * u
    return 0.2 * u if name.endswith("bias") else u


def write_checkpoints(folder: Path, tokenizer_folder: Path, **sizes: int) -> dict[str, Path]:
    """Write config folders of the reference sizes; the encoder's with some tokenizer.

    Where `vocab_size` is given, it is that of the tokenizer; else one is made.
    """
    sizes = {**SIZES, **sizes}
    is_made = "vocab_size" not in sizes
    n_pieces = sizes.pop("vocab_size", 100)
    text = BertConfig(vocab_size=n_pieces, max_position_embeddings=64, **sizes)
    vision = CLIPVisionConfig(image_size=224, patch_size=32, **sizes)
    weights = {"encoder": folder / "encoder", "vision": folder / "vision"}
    for role, config in (("encoder", text), ("vision", vision)):
        config.save_pretrained(weights[role])
    if is_made:
        write_letters(weights["encoder"], n_pieces)
        return weights
    for file in tokenizer_folder.iterdir():
        if file.name.startswith(("tokenizer", "vocab", "special")):
            (weights["encoder"] / file.name).write_bytes(file.read_bytes())
    return weights


def reference_model(weights: dict[str, Path], **changes) -> Model:
    """Return the filled model with the released switches, changes applied, float64, no dropout."""
    options = Options.upstream(**{"max_pieces": 12, **changes})
    model = Model(options, VOCABULARY, weights, pretrained=False).double()
    empty = to_released(model.state_dict())
    state = {name: filled(name, tuple(tensor.shape)) for name, tensor in empty.items()}
    model.load_state_dict(from_released(state, model.state_dict()))
    return model.eval()


def reference_batch(n_padding: int = 0) -> dict:
    """Return the three sentences with their pictures, and more padding if asked for."""
    n, width = len(LENGTHS), max(LENGTHS) + n_padding
    ids = torch.zeros((n, width), dtype=torch.int64)
    labels = torch.zeros((n, width), dtype=torch.int64)
    for b, length in enumerate(LENGTHS):
        for j in range(length):
            ids[b, j] = (7 * j + 3 * b + 5) % 90 + 5
            labels[b, j] = (5 * j + b) % 9 + 1
        labels[b, 0], labels[b, length - 1] = 0, 10
    mask = torch.arange(width)[None] < torch.tensor(LENGTHS)[:, None]
    images = 4 * uniform("images", (3, 3, 224, 224))
    crops = 4 * uniform("aux", (3, 3, 3, 128, 128))
    detector = 4 * uniform("rcnn", (3, 3, 3, 64, 64))
    crops[1, 2], detector[2] = 0, 0
    present = [torch.ones((n, count), dtype=torch.bool) for count in (1, 3, 3)]
    present[1][1, 2], present[2][2] = False, False
    first = torch.full((n, width - 2), -1)
    for b, length in enumerate(LENGTHS):
        first[b, : length - 2] = torch.arange(1, length - 1)
    return {
        "input_ids": ids,
        "mask": mask,
        "is_word": mask & (torch.arange(width) > 0) & (labels != 10),
        "first_piece": first,
        "n_tokens": [length - 2 for length in LENGTHS],
        "tag_ids": labels,
        "images": [images.unsqueeze(1), crops, detector],
        "present": present,
    }


def pictures(seed: int, missing: tuple[str, ...] = (), n_crops: int = 3) -> dict[str, StoredItem]:
    """Return the items of one image, random, some roles missing."""
    rng = np.random.default_rng(seed)
    items = {}
    for role, (number, side) in ROLES.items():
        width = side * side * 3
        if role in missing:
            empty = np.zeros((0, width), np.uint8)
            items[role] = StoredItem(STATUS["missing"], "no file", features=empty)
        else:
            n_rows = min(number, n_crops)
            rows = rng.integers(0, 256, (n_rows, width), dtype=np.uint8)
            items[role] = StoredItem(STATUS["ok"], features=rows)
    return items


def examples(missing=(), tagged=True, n_crops=3) -> list[Example]:
    return [
        Example(
            Sample(str(i), f"photo{i}", text.split(), tags.split() if tagged else None),
            pictures(i, missing, n_crops),
        )
        for i, (text, tags) in enumerate(SENTENCES)
    ]
