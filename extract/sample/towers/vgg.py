"""A small vision tower for the sample: a VGG-style stack that has learned to name drawn kinds.

The result is an ordinary checkpoint folder that the `vgg` extractor loads.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.core.files import write_json
from extract.images.decode import resize_exact
from extract.networks.precision import Precision
from extract.sample.drawings import CLASSES, NOTHING, class_of
from extract.sample.picture import PicturePlan

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn

    from extract.sample.towers.arrays import TowerInputs

logger = logging.getLogger(__name__)

VERSION = 3
"""Raised when the weights change."""

LAYERS = ("M", "M", 24, "M", 48, "M", 96, "M", 128, 512)
"""In torchvision's notation. Two poolings first: they cost nothing and need no gradient."""
INPUT_SIZE = 224
MEAN = (0.72, 0.72, 0.72)
STD = (0.25, 0.25, 0.25)

EPOCHS = 7

_BATCH = 25
_PEAK_RATE = 3e-3


def inputs_and_targets(drawn: "TowerInputs") -> tuple[np.ndarray, np.ndarray]:
    """Return pooled pixels, shape (N, 3, 56, 56), uint8, and targets, (N, classes), float32."""
    return drawn.pictures, drawn.kinds


def kind_targets(plans: Sequence[PicturePlan]) -> np.ndarray:
    """Return each class's share among a picture's telling objects, shape (N, classes), float32."""
    targets = np.zeros((len(plans), len(CLASSES)), np.float32)
    for row, plan in zip(targets, plans, strict=True):
        named = [placed.kind for placed in plan.mains if placed.kind in CLASSES] or [NOTHING]
        for kind in named:
            row[class_of(kind)] += 1 / len(named)
    return targets


def pooled_pixels(picture: "Image.Image") -> np.ndarray:
    """Return a drawing as the `vgg` extractor sees it, behind the leading poolings.

    Returns:
        Shape (3, 56, 56), uint8.
    """
    pixels = np.asarray(resize_exact(picture, (INPUT_SIZE, INPUT_SIZE))).transpose(2, 0, 1)
    return _pool_stem(pixels[None])[0]


def _stem_depth() -> int:
    return next(index for index, layer in enumerate(LAYERS) if layer != "M")


def _pool_stem(pixels: np.ndarray) -> np.ndarray:
    """Do the leading poolings once and for all.

    Scaling each channel by positive numbers does not change which pixel is the largest, so
    pooling raw pixels and normalising afterwards equals the order of the extractor.
    """
    side = 2 ** _stem_depth()
    count, channels, height, width = pixels.shape
    cells = pixels.reshape(count, channels, height // side, side, width // side, side)
    return cells.max(axis=(3, 5))


def fit(
    pixels: np.ndarray, targets: np.ndarray, *, seed: int, epochs: int, precision: Precision
) -> tuple["nn.Sequential", float]:
    """Train the layers behind the stem; return them (with batch norm) and the last accuracy."""
    import torch
    from torch import nn
    from torchvision.models.vgg import make_layers

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stack = make_layers(list(LAYERS[_stem_depth() :]), batch_norm=True)
        head = nn.Linear(LAYERS[-1], len(CLASSES))
    stack = stack.to(memory_format=torch.channels_last).train()
    parameters = [*stack.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _PEAK_RATE, total_steps=epochs * (len(pixels) // _BATCH), pct_start=0.2
    )
    inputs, labels = torch.from_numpy(pixels), torch.from_numpy(targets)
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        hits = 0
        # The last, smaller batch is left out: batch norm would weigh it like a full one.
        for rows in torch.randperm(len(inputs), generator=generator).split(_BATCH):
            if len(rows) < _BATCH:
                continue
            scores = _scores(stack, head, _augment(inputs[rows], generator), precision)
            loss = _loss(scores, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            guesses = scores.mean(dim=1).argmax(1, keepdim=True)
            hits += int((labels[rows].gather(1, guesses) > 0).sum())
        accuracy = hits / (len(inputs) // _BATCH * _BATCH)
        logger.info("epoch %d/%d: accuracy %.3f", epoch, epochs, accuracy)
    return stack, accuracy


def _scores(
    stack: "nn.Sequential", head: "nn.Linear", batch: "Tensor", precision: Precision
) -> "Tensor":
    """Return one score a class and grid cell, shape (B, cells, classes), float32."""
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        grid = stack(batch)
    return head(grid.float().flatten(2).transpose(1, 2))


def _loss(scores: "Tensor", labels: "Tensor") -> "Tensor":
    """Ask the whole grid, and every cell of it, what the picture shows.

    A network trained on photographs has seen most of the picture at each cell of its last grid;
    readers that average cells rely on it.
    """
    from torch.nn.functional import cross_entropy

    by_cell = scores.flatten(0, 1), labels.repeat_interleave(scores.shape[1], dim=0)
    return cross_entropy(scores.mean(dim=1), labels) + cross_entropy(*by_cell)


def _augment(batch: "Tensor", generator: "object") -> "Tensor":
    """Normalise uint8 pixels; mirror and shift the batch at random."""
    import torch

    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    batch = (batch.float() / 255 - mean) / std
    if torch.rand((), generator=generator) < 0.5:
        batch = batch.flip(3)
    shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return torch.roll(batch, shift, (2, 3)).contiguous(memory_format=torch.channels_last)


def save(stack: "nn.Sequential", folder: Path) -> None:
    """Write the checkpoint, the batch norms folded into the convolutions."""
    from safetensors.torch import save_file

    save_file(fold_batch_norm(stack, _stem_depth()), folder / "model.safetensors")
    config = {
        "architecture": "vgg",
        "layers": list(LAYERS),
        "batch_norm": False,
        "input_size": INPUT_SIZE,
        "mean": list(MEAN),
        "std": list(STD),
        "classes": list(CLASSES),
    }
    write_json(folder / "config.json", config)


def fold_batch_norm(stack: "nn.Sequential", offset: int) -> "dict[str, Tensor]":
    """Return the weights of the same function without batch norm, named as torchvision does.

    Args:
        stack: conv, batch norm, ReLU and pooling layers.
        offset: number of layers before the stack in the full network.
    """
    from torch import nn

    tensors: dict[str, Tensor] = {}
    position = offset
    layers = list(stack)
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.BatchNorm2d):
            continue
        if isinstance(layer, nn.Conv2d):
            scale = following.weight / (following.running_var + following.eps).sqrt()
            bias = (layer.bias - following.running_mean) * scale + following.bias
            weight = layer.weight * scale.view(-1, 1, 1, 1)
            tensors[f"features.{position}.weight"] = weight.detach().contiguous()
            tensors[f"features.{position}.bias"] = bias.detach().contiguous()
        position += 1
    return tensors
