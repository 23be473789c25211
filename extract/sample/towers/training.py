"""Train one of the sample's vision towers on drawings of its own, into a checkpoint folder."""

import logging
import os
import time
from pathlib import Path

from extract.core.errors import ConfigError
from extract.core.system import keep_freed_memory
from extract.networks.checkpoints.made_folder import checkpoint_folder
from extract.networks.precision import resolve_precision, warn_if_slower
from extract.sample.drawings import torch_threads
from extract.sample.towers import clip, vgg
from extract.sample.towers.drawn_inputs import draw_tower_inputs, read_tower_inputs

logger = logging.getLogger(__name__)

ARCHITECTURES = {"vgg": vgg, "clip": clip}

MARKER = "trained.json"
"""File that says of a checkpoint folder that it was trained here."""


def train_tower(
    folder: Path,
    architecture: str,
    *,
    seed: int,
    n_images: int = 2500,
    drawings: Path | None = None,
    epochs: int | None = None,
    threads: int | None = None,
    precision: str = "auto",
) -> float:
    """Train on drawings and write `config.json` and `model.safetensors`.

    Args:
        folder: to write; one that was trained here before is replaced.
        architecture: a key of ARCHITECTURES.
        seed: of the drawings and of the weights; equal seeds and thread counts give equal bytes.
        n_images: drawings to learn from, of one or two objects each.
        drawings: file of `python -m extract sample-drawings` with that seed and number; without
            it they are drawn here.
        epochs: passes over them; None takes the architecture's own number.
        threads: of torch and of drawing; None takes all cores.
        precision: `fp32`, `bf16`, or `auto`: bf16 where the processor is faster in it.

    Returns:
        Accuracy of the last pass on what was learned from (augmented), 0-1.

    Raises:
        ConfigError: fewer than 100 images, no epoch, or `folder` is something else.
    """
    tower = ARCHITECTURES[architecture]
    epochs = tower.EPOCHS if epochs is None else epochs
    if epochs < 1:
        raise ConfigError(f"sample-vision: at least one epoch, got {epochs}")
    warn_if_slower(precision, "cpu")
    chosen = resolve_precision(precision, "cpu")
    started = time.monotonic()
    threads = threads or os.cpu_count() or 1
    keep_freed_memory()
    if drawings:
        drawn = read_tower_inputs(drawings)
    else:
        drawn = draw_tower_inputs(seed, n_images, threads)
    logger.info("%d drawings in %.1f s", len(drawn.pictures), time.monotonic() - started)
    inputs, targets = tower.inputs_and_targets(drawn)
    with torch_threads(threads):
        network, accuracy = tower.fit(inputs, targets, seed=seed, epochs=epochs, precision=chosen)
    record = {"seed": seed, "images": n_images, "precision": chosen}
    with checkpoint_folder(folder, MARKER, record) as building:
        tower.save(network, building)
    logger.info("%s: trained in %.1f s", folder, time.monotonic() - started)
    return accuracy
