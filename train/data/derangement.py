"""Which image a sample of the variant `shuffled` gets."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from extract.core.errors import DataError

# One number for all runs: `shuffled` is a property of the data, equal for every system and seed.
SHUFFLE_SEED = 20151


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
