"""Orders: which image a shuffled sample gets, and which samples form a batch, in which sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from extract.tables.samples import Sample
from train.data.batches import cut_batches, length_of

# Batches are cut from chunks of this many batches, sorted by length inside a chunk.
BATCHES_PER_CHUNK = 50


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
        return cut_batches(order, batch_size)
    lengths = [length_of(sample) for sample in samples]
    batches = []
    for chunk in cut_batches(order, batch_size * BATCHES_PER_CHUNK):
        batches += cut_batches(sorted(chunk, key=lengths.__getitem__), batch_size)
    return [batches[index] for index in rng.permutation(len(batches))]


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
    for group in cut_batches(batches, accumulation * world):
        mine, divisor = group[rank::world], len(group) / world
        absent = [Part(group[0], divisor, is_counted=False)]
        updates.append([Part(indices, divisor) for indices in mine] or absent)
    return updates
