"""Tensors of a batch that do not depend on how a model reads text: gold tags and image grids."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.core.errors import DataError, ShapeError, near_match
from extract.tables.samples import Sample
from train.data.examples import Example


def tag_tensor(samples: Sequence[Sample], tag_ids: Mapping[str, int], width: int) -> Tensor | None:
    """Return the gold tags of the first `width` tokens.

    Args:
        samples: with tags, or some without.
        tag_ids: tag -> id.
        width: W of the result.

    Returns:
        Shape (B, W), int64, 0 on padding; None when any sample is not tagged.

    Raises:
        DataError: a tag that the model does not have.
    """
    if any(sample.tags is None for sample in samples):
        return None
    ids = torch.zeros((len(samples), width), dtype=torch.int64)
    for row, sample in enumerate(samples):
        tags = sample.tags[:width]
        unknown = [tag for tag in tags if tag not in tag_ids]
        if unknown:
            raise DataError(
                f"sample {sample.id}: tag {unknown[0]!r} is not one of {', '.join(tag_ids)}, the "
                f"tags of the training split.{near_match(unknown[0], tag_ids)}"
            )
        ids[row, : len(tags)] = torch.tensor([tag_ids[tag] for tag in tags])
    return ids


def image_grid(example: Example, role: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the grid of an example whose image has one.

    Args:
        example: its item of that role must be ok.
        role: which store.
        shape: expected (R, D).

    Raises:
        ShapeError: the store holds another shape.
    """
    grid = example.items[role].features
    if grid is None or grid.shape != shape:
        got = "no features" if grid is None else grid.shape
        raise ShapeError(
            f"image {example.sample.image_id}: expected a grid of {shape[0]} cells and {shape[1]} "
            f"channels, got {got}. Set `regions` and `image_dim` to those of the feature set."
        )
    return grid


def grid_tensors(
    examples: Sequence[Example], role: str, shape: tuple[int, int]
) -> dict[str, Tensor]:
    """Return `image`, shape (B, R, D), float32, and `has_image`, shape (B,), bool.

    Rows without an image are zero and must be masked: they are no stand-in.

    Raises:
        ShapeError: the store holds another shape.
    """
    image = torch.zeros((len(examples), *shape))
    has_image = torch.tensor([example.items[role].is_ok for example in examples])
    for row, example in enumerate(examples):
        if has_image[row]:
            image[row] = torch.from_numpy(image_grid(example, role, shape))
    return {"image": image, "has_image": has_image}


def length_of(sample: Sample) -> int:
    """Return a cheap estimate of the number of subwords: one a word and one each 4 characters."""
    return sum(1 + len(token) // 4 for token in sample.tokens)


def eval_batches(samples: Sequence[Sample], batch_size: int) -> list[list[int]]:
    """Return batches of similar length, long ones first (memory trouble then shows at once)."""
    lengths = [length_of(sample) for sample in samples]
    return cut_batches(sorted(range(len(samples)), key=lambda i: (-lengths[i], i)), batch_size)


def cut_batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
