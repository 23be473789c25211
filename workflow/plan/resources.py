"""What jobs ask of a scheduler, from the amounts that the config states."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>\w+)")

_READING_MB = 2000
"""Python, the texts of a large corpus, and its list of images."""


def times(amount: str, factor: int) -> str:
    """Return an amount of memory (`8GB`, `1.5 GiB`) times a whole number, as `24GB`."""
    match = _AMOUNT.fullmatch(amount)
    assert match is not None, amount
    return f"{factor * Decimal(match['number'])}{match['unit']}"


def decoding_memory(limits: Mapping[str, Any], cores: int, attempt: int) -> str:
    """Return what reading a corpus may take: on each core one image as dear as is allowed.

    Args:
        limits: `image_limits` of the config.
        cores: how many images are decoded at a time.
        attempt: 1 for the first; the corpus itself may be larger than is thought here.
    """
    return f"{cores * limits['max_memory_mb'] + attempt * _READING_MB}MiB"
