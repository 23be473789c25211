"""What both towers learn from: one set of drawings, as each of them sees it.

Drawing costs more than a pass of training, so the pictures are drawn once and written to a file
that both trainings read.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from extract.core.errors import ConfigError, MissingFileError
from extract.core.files import atomic_path
from extract.sample.draw import draw_picture
from extract.sample.drawings import draw_all, plan_drawings
from extract.sample.picture import PicturePlan
from extract.sample.towers import clip, vgg
from extract.sample.towers.arrays import TowerInputs

_SMALLEST_RUN = 100


def draw_tower_inputs(seed: int, n_images: int, workers: int) -> TowerInputs:
    """Draw pictures of one or two objects each, apart from the corpus of the same seed.

    Args:
        seed: of the drawings.
        n_images: how many.
        workers: processes that draw.

    Raises:
        ConfigError: fewer than 100 images.
    """
    if n_images < _SMALLEST_RUN:
        raise ConfigError(f"sample-vision: at least {_SMALLEST_RUN} images, got {n_images}")
    return inputs_of(plan_drawings(seed, n_images), workers)


def inputs_of(plans: Sequence[PicturePlan], workers: int) -> TowerInputs:
    """Draw these pictures; see `draw_tower_inputs`."""
    pictures, crops = zip(*draw_all(_seen_by_both, plans, workers), strict=True)
    return TowerInputs(
        np.stack(pictures),
        vgg.kind_targets(plans),
        np.concatenate(crops),
        clip.crop_labels(plans),
    )


def write_tower_inputs(inputs: TowerInputs, path: Path) -> None:
    """Write the arrays into one `.safetensors` file."""
    # safetensors writes memory as it lies, whatever the order of the axes.
    arrays = {
        field.name: np.ascontiguousarray(getattr(inputs, field.name))
        for field in fields(TowerInputs)
    }
    # safetensors writes a temporary file of its own first.
    with atomic_path(path, in_folder=True) as tmp:
        save_file(arrays, tmp)


def read_tower_inputs(path: Path) -> TowerInputs:
    """Read what `write_tower_inputs` wrote.

    Raises:
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no drawings. `python -m extract sample-drawings` draws.")
    return TowerInputs(**load_file(path))


def _seen_by_both(plan: PicturePlan) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture; return the input of the VGG tower and the crops of its objects."""
    picture = draw_picture(plan)
    return vgg.pooled_pixels(picture), clip.crops_of(picture, plan)
