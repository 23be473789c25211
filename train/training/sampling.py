"""Orders: which image a shuffled sample gets, and which samples form a batch, in which sequence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from extract.core.errors import DataError
from extract.tables.samples import Sample

# One number for all runs: `shuffled` is a property of the data, equal for every system and seed.
SHUFFLE_SEED = 20151

# Batches are cut from chunks of this many batches, sorted by length inside a chunk.
BATCHES_PER_CHUNK = 50


def derange(image_ids: Sequence[str], seed: int = SHUFFLE_SEED) -> list[int]:
    """Return for each sample the index of another one whose image id differs.

    A random order, grouped by image id, is rotated by the size of the largest group: no sample
    then meets its own image, also when samples share images.

    Args:
        image_ids: one a sample.
        seed: decides the order.

    Returns:
        A permutation: every image is used as often as before.

    Raises:
        DataError: more than half of the samples share one image, so that there is none.
    """
    n_samples = len(image_ids)
    image_id, largest = Counter(image_ids).most_common(1)[0]
    if 2 * largest > n_samples:
        raise DataError(
            f"variant shuffled: {largest} of {n_samples} samples have the image {image_id!r}, so "
            "they cannot all get another one. Use a split with more images."
        )
    order = np.random.default_rng(seed).permutation(n_samples).tolist()
    first_seen = {
        name: rank for rank, name in reversed(list(enumerate(image_ids[i] for i in order)))
    }
    order.sort(key=lambda index: first_seen[image_ids[index]])
    donors = [0] * n_samples
    for rank, index in enumerate(order):
        donors[index] = order[(rank + largest) % n_samples]
    return donors


def length_of(sample: Sample) -> int:
    """Return a cheap estimate of the number of subwords: one a word and one each 4 characters."""
    return sum(1 + len(token) // 4 for token in sample.tokens)


def train_batches(
    samples: Sequence[Sample], batch_size: int, rng: np.random.Generator, *, buckets: bool
) -> list[list[int]]:
    """Return the batches of one epoch, as indices; each sample occurs once.

    Args:
        samples: of the training split.
        batch_size: the last batch may be smaller.
        rng: decides the order, and nothing else does.
        buckets: sort by length inside chunks of 50 batches, then shuffle the batches.
    """
    order = rng.permutation(len(samples)).tolist()
    if not buckets:
        return _cut(order, batch_size)
    lengths = [length_of(sample) for sample in samples]
    batches = []
    for chunk in _cut(order, batch_size * BATCHES_PER_CHUNK):
        batches += _cut(sorted(chunk, key=lengths.__getitem__), batch_size)
    return [batches[index] for index in rng.permutation(len(batches))]


def eval_batches(samples: Sequence[Sample], batch_size: int) -> list[list[int]]:
    """Return batches of similar length, long ones first (memory trouble then shows at once)."""
    lengths = [length_of(sample) for sample in samples]
    return _cut(sorted(range(len(samples)), key=lambda i: (-lengths[i], i)), batch_size)


@dataclass(frozen=True)
class Part:
    """One batch of one process in one update."""

    indices: list[int]
    """Of its samples."""
    divisor: float
    """What its loss is divided by: the processes' gradients, averaged, are then the mean over all
    batches of the update."""
    is_counted: bool = True
    """False where a process has no batch left: it joins the exchange of gradients with zeros."""


def update_parts(
    batches: list[list[int]], accumulation: int, *, rank: int = 0, world: int = 1
) -> list[list[Part]]:
    """Return one process's parts of each update of an epoch.

    An update of `world` processes is over the same batches as that of one process with `world`
    times the accumulation, dealt out to the processes in turn; the last one may be smaller.

    Args:
        batches: of the whole epoch, in order.
        accumulation: batches of one process in one update.
        rank: number of the process, from 0.
        world: number of processes.
    """
    updates = []
    for group in _cut(batches, accumulation * world):
        mine, divisor = group[rank::world], len(group) / world
        absent = [Part(group[0], divisor, is_counted=False)]
        updates.append([Part(indices, divisor) for indices in mine] or absent)
    return updates


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
