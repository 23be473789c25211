"""What is computed, in a few numbers that a file can hold and another processor can meet."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extract.store import FeatureStore

TOLERANCE = 2e-3
"""Processors round differently, and stores hold 16-bit numbers; a change of code is larger."""


def of_array(values: np.ndarray) -> dict[str, Any]:
    """Return shape, mean size, and two sums in units of the size; one of them tells the order."""
    flat = np.asarray(values, np.float64).ravel()
    known = np.nan_to_num(flat)
    size = float(np.abs(known).mean()) if flat.size else 0.0
    unit = size * math.sqrt(flat.size) or 1.0
    # The weights repeat themselves nowhere, so that two numbers that change places are noticed.
    weights = np.cos(np.arange(flat.size) * 1.618033)
    summary = {
        "shape": list(np.shape(values)),
        "size": size,
        "mean": float(known.sum() / flat.size / (size or 1.0)) if flat.size else 0.0,
        "order": float(known @ weights / unit),
    }
    return {name: round(v, 6) if isinstance(v, float) else v for name, v in summary.items()}


def of_store(path: Path) -> dict[str, Any]:
    """Return a summary of each item of a feature store."""
    with FeatureStore(path) as store:
        return {key: _of_item(item) for key, item in store.items()}


def _of_item(item: Any) -> dict[str, Any]:
    summary: dict[str, Any] = {"status": item.status}
    if item.text is not None:
        summary["text"] = list(item.text)
    for name in ("features", "boxes", "scores", "labels", "attributes", "attribute_scores"):
        values = getattr(item, name)
        if values is not None and item.n_rows:
            summary[name] = of_array(values)
    return summary


def of_folder(folder: Path) -> dict[str, Any]:
    """Return relative path -> text, or size and mean colour, or length, of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _of_file(path) for path in files}


def _of_file(path: Path) -> Any:
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        with Image.open(path) as image:
            return of_array(np.asarray(image.convert("RGB")))
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return len(data)


def differences(recorded: Any, found: Any, where: str = "") -> list[str]:
    """Return a line for each place where two values differ by more than the tolerance."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        lines = []
        for key in sorted(recorded.keys() | found.keys()):
            place = f"{where}.{key}" if where else str(key)
            if key not in recorded or key not in found:
                lines.append(f"{place}: {'new' if key in found else 'gone'}")
            else:
                lines += differences(recorded[key], found[key], place)
        return lines
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        pairs = enumerate(zip(recorded, found, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}[{i}]")]
    if isinstance(recorded, float) and isinstance(found, float | int):
        is_near = abs(recorded - found) <= TOLERANCE * max(abs(recorded), 0.1)
    else:
        is_near = recorded == found and type(recorded) is type(found)
    return [] if is_near else [f"{where}: {recorded!r:.200} -> {found!r:.200}"]
