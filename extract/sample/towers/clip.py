"""A small vision transformer for the sample: a CLIP tower that has learned to name drawn objects.

It sees what models see of a tweet's grounded boxes: crops. The result is an ordinary checkpoint
folder of a `CLIPVisionModel`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.extractors import pixels
from extract.networks.checkpoints.reading import quiet_transformers
from extract.networks.pixels import CLIP_MEAN, CLIP_STD, normalize
from extract.networks.precision import Precision
from extract.networks.random_weights import write_clip_preprocessing
from extract.sample.drawings import CLASSES, class_of
from extract.sample.picture import PicturePlan
from extract.tables.rows import Item

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn

    from extract.sample.towers.arrays import TowerInputs

logger = logging.getLogger(__name__)

VERSION = 2
"""Raised when the weights change."""

CROP_PX = 64
SIZES = {
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "image_size": CROP_PX,
    "patch_size": 16,
}
"""Of a `CLIPVisionConfig`."""

EPOCHS = 12

_BATCH = 64
_PEAK_RATE = 2e-3
_CLIP = 1.0
_SHIFT_PX = 3


def inputs_and_targets(drawn: "TowerInputs") -> tuple["Tensor", "Tensor"]:
    """Return normalised crops, shape (R, 3, CROP_PX, CROP_PX), float32, and classes, (R,)."""
    import torch

    squares = torch.from_numpy(drawn.crops).permute(0, 3, 1, 2)
    squares = normalize(squares.float(), CLIP_MEAN, CLIP_STD).contiguous()
    return squares, torch.from_numpy(drawn.labels)


def crop_labels(plans: Sequence[PicturePlan]) -> np.ndarray:
    """Return the class of every object that a picture is about, shape (R,), int64."""
    return np.array([class_of(placed.kind) for plan in plans for placed in plan.mains])


def crops_of(picture: "Image.Image", plan: PicturePlan) -> np.ndarray:
    """Return a picture's main objects as stores of pixels hold them.

    Args:
        picture: drawn from the plan.
        plan: says where the objects are.

    Returns:
        Shape (objects, CROP_PX, CROP_PX, 3), uint8.
    """
    boxes = np.array([placed.box for placed in plan.mains], np.float32)
    cutter = pixels.Extractor(pixels.Options(of="crops", size=CROP_PX))
    rows = cutter.prepare(Item("", picture, boxes=boxes)).features
    return rows.reshape(-1, CROP_PX, CROP_PX, 3)


def save(tower: "nn.Module", folder: Path) -> None:
    """Write the checkpoint."""
    with quiet_transformers():
        tower.save_pretrained(folder)
    write_clip_preprocessing(CROP_PX, folder)


def fit(
    inputs: "Tensor", targets: "Tensor", *, seed: int, epochs: int, precision: Precision
) -> tuple["nn.Module", float]:
    """Train; return the tower and its last accuracy."""
    import torch
    from torch import nn
    from transformers import CLIPVisionConfig, CLIPVisionModel

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # In bfloat16 on a CPU three times as fast as the fused kernel.
        config = CLIPVisionConfig(**SIZES, projection_dim=16, attn_implementation="eager")
        tower = CLIPVisionModel(config).train()
        head = nn.Linear(SIZES["hidden_size"], len(CLASSES))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_PEAK_RATE, weight_decay=0.05)
    n_steps = epochs * (len(inputs) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _PEAK_RATE, total_steps=n_steps, pct_start=0.15
    )
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        n_hits = n_seen = 0
        for rows in torch.randperm(len(inputs), generator=generator).split(_BATCH):
            if len(rows) < _BATCH:
                continue
            labels = targets[rows]
            by_class_token, by_patches = _scores(
                tower, head, _moved(inputs[rows], generator), precision
            )
            cross_entropy = nn.functional.cross_entropy
            loss = cross_entropy(by_class_token, labels) + cross_entropy(by_patches, labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, _CLIP)
            optimizer.step()
            schedule.step()
            n_hits += int((by_class_token.argmax(1) == labels).sum())
            n_seen += len(rows)
        accuracy = n_hits / n_seen
        logger.info("epoch %d/%d: accuracy %.3f", epoch, epochs, accuracy)
    return tower.eval(), accuracy


def _scores(
    tower: "nn.Module", head: "nn.Module", batch: "Tensor", precision: Precision
) -> tuple["Tensor", "Tensor"]:
    """Ask the class token, and the mean of the patches, what is seen.

    Readers use both; a tower trained on photographs has taught both.

    Returns:
        Two tensors of shape (B, classes), float32.
    """
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        states = tower(pixel_values=batch)
    patches = states.last_hidden_state[:, 1:].float().mean(dim=1)
    return head(states.pooler_output.float()), head(patches)


def _moved(batch: "Tensor", generator: "object") -> "Tensor":
    """Mirror and shift a batch at random."""
    import torch

    if torch.rand((), generator=generator) < 0.5:
        batch = batch.flip(3)
    shift = torch.randint(-_SHIFT_PX, _SHIFT_PX + 1, (2,), generator=generator).tolist()
    return torch.roll(batch, shift, (2, 3))
