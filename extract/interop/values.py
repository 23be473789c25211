"""Values of foreign JSON, checked one by one: a wrong type is an error that names its place."""

import base64
import binascii
import json
import re
from typing import Any

import numpy as np

from extract.core.errors import DataError

# HDF5 strings end at a NUL, and lone surrogates have no UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_json(text: str | bytes, where: str) -> Any:
    """Return the value of a JSON text; NaN and Infinity are refused.

    Raises:
        DataError: not JSON, not UTF-8, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({str(error)[:80]})") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def as_mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, got {_shown(value)}")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a JSON list, got {_shown(value)}")
    return value


def as_text(value: Any, where: str) -> str:
    """Return a string that a feature file can hold."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a string, got {_shown(value)}")
    if _UNSTORABLE.search(value):
        raise DataError(f"{where}: {_shown(value)} holds a NUL or half a surrogate pair")
    return value


def as_number(value: Any, where: str) -> float:
    """Return a number that is finite, also as float32."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: expected a number, got {_shown(value)}")
    # The bound of float32; comparing is safe where a conversion of a huge integer is not.
    if not -3.4e38 < value < 3.4e38:
        raise DataError(f"{where}: {_shown(value)} is no finite number")
    return float(value)


def as_whole(value: Any, where: str) -> int:
    """Return a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{where}: expected a whole number from 0, got {_shown(value)}")
    return value


def as_rect(value: Any, where: str) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 in order."""
    numbers = [as_number(number, where) for number in as_list(value, where)]
    if len(numbers) != 4:
        raise DataError(f"{where}: expected four numbers x1 y1 x2 y2, got {_shown(value)}")
    x1, y1, x2, y2 = numbers
    if x2 < x1 or y2 < y1:
        raise DataError(f"{where}: a corner is left of or above the first one: {_shown(value)}")
    return x1, y1, x2, y2


def decode_floats(text: Any, where: str) -> np.ndarray:
    """Return the little-endian float32 values of a base64 string, finite.

    Returns:
        Shape (n,), float32.

    Raises:
        DataError: not base64, not a whole number of values, NaN or infinity.
    """
    if not isinstance(text, str):
        raise DataError(f"{where}: expected a string of base64, got {_shown(text)}")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{where}: not base64 ({error})") from error
    if len(data) % 4:
        raise DataError(f"{where}: {len(data)} bytes are no whole number of float32 values")
    values = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: a value is NaN or infinite")
    return values


def encode_floats(values: np.ndarray) -> str:
    """Return base64 of little-endian float32 values, row after row."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4")).decode("ascii")


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
