"""Tiny RPI-HMIF models, tweets and pictures for its tests."""

import numpy as np
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from extract.core.options import options_from
from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from train.data.examples import Example
from train.systems.rpi_hmif.model import Model
from train.systems.rpi_hmif.options import Options

TYPES = ["PER", "LOC", "ORG", "MISC"]
SENTENCES = [
    ("Kevin Durant plays for the Warriors", "B-PER I-PER O O O B-ORG"),
    ("the dog", "O O"),
    ("Justin Bieber at New York", "B-PER I-PER O B-LOC I-LOC"),
]
IMAGE_PX, CROP_PX, DETECTOR_PX = 32, 16, 8
SMALL = {"crop_px": CROP_PX, "detector_crop_px": DETECTOR_PX, "max_pieces": 36}
QUESTION = {"text": "see the man", "max_pieces": 60}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
N_VISUAL = 1 + 16 + 3 * 4 + 3


def write_tower(folder, **sizes):
    torch.manual_seed(11)
    config = {**SIZES, "intermediate_size": 64, "image_size": IMAGE_PX, "patch_size": 8, **sizes}
    CLIPVisionModel(CLIPVisionConfig(**config)).save_pretrained(folder)
    return folder


def make_model(
    encoder, tower, *, dtype=torch.float64, pretrained=True, upstream=False, **options
) -> Model:
    """Return a model of these checkpoints in evaluation."""
    torch.manual_seed(0)
    question = {**QUESTION, **options.pop("question", {})}
    options = {**SMALL, "question": question, **options}
    if upstream:
        chosen = Options.upstream(**options)
    else:
        chosen = options_from(Options, options, "models.rpi_hmif.options")
    weights = {"encoder": encoder, "vision": tower}
    return Model(chosen, {"entity_types": TYPES}, weights, pretrained).to(dtype).eval()


def pixels(side, n_rows, rng):
    if n_rows == 0:
        return StoredItem(STATUS["missing"], "gone")
    rows = rng.integers(0, 256, (n_rows, side * side * 3), dtype=np.uint8)
    return StoredItem(STATUS["ok"], features=rows)


def example(number, text, tags, *, rows=(1, 3, 3), seed=0):
    """Return a tweet with random pictures; `rows` says how many of each kind there are."""
    rng = np.random.default_rng([seed, number])
    kinds = (("image", IMAGE_PX), ("crops", CROP_PX), ("detector_crops", DETECTOR_PX))
    features = {r: pixels(side, n, rng) for (r, side), n in zip(kinds, rows, strict=True)}
    words = text.split()
    return Example(Sample(f"s{number}", f"i{number}", words, tags and tags.split()), features)


def examples(labelled=True, rows=((1, 3, 3), (1, 1, 2), (0, 0, 0)), seed=0):
    """Return three tweets: with all pictures, with some crops missing, with no picture."""
    return [
        example(i, text, tags if labelled else None, rows=rows[i], seed=seed)
        for i, (text, tags) in enumerate(SENTENCES)
    ]


def with_pictures(batch, images):
    return {**batch, "pictures": batch["pictures"]._replace(images=tuple(images))}


def real(model, batch):
    """Return emissions and last routing weights at real positions."""
    trace = model.trace(batch)
    return trace.emissions.detach()[batch["mask"]], trace.weights.detach()[batch["mask"]]


def assert_same(got, expected, tolerance=1e-10):
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() <= tolerance


def train_steps(model, batch, n, lr=1e-3):
    """Train with one AdamW step a batch; return the losses."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    model.train()
    losses = []
    for _ in range(n):
        optimizer.zero_grad()
        loss = model(batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses
