"""Holm's correction: p values of a family of tests, adjusted so that any false alarm is rare.

Which comparisons form a family is chosen in `intervals.py` and `ablation.py`.

Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

from collections.abc import Sequence

from extract.core.errors import DataError


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p of each test, in the order given.

    The i-th smallest of m values (i from 0) is multiplied by m - i, is never below that of a
    smaller p, and is at most 1. Rejecting where it is at most 0.05 keeps the chance of one or more
    false rejections in the whole family at 5 %, whatever the dependence between the tests.

    Raises:
        DataError: a value is not between 0 and 1.
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise DataError(f"p should be between 0 and 1, got {p}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
