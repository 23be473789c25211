"""Random features: reproducible, different for different images and seeds."""

import hashlib

import numpy as np
from PIL import Image

from extract.extractors.random import Extractor, Options
from extract.tables.rows import Item


def rows(item: Item, **options: object) -> np.ndarray:
    return Extractor(Options(**options)).extract([item])[0].features


def test_values_follow_from_seed_and_content_alone() -> None:
    red, blue = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    first = rows(Item("a", red), rows=3, dim=5)
    assert first.shape == (3, 5) and first.dtype == np.float16
    assert np.array_equal(first, rows(Item("b", red.copy()), rows=3, dim=5))
    assert not np.array_equal(first, rows(Item("a", blue), rows=3, dim=5))
    assert not np.array_equal(first, rows(Item("a", red), rows=3, dim=5, seed=1))
    assert not np.array_equal(first, rows(Item("a", red.resize((2, 8))), rows=3, dim=5))


def test_values_can_follow_from_the_id() -> None:
    red, blue = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    by_id = rows(Item("a", red), source="id")
    assert np.array_equal(by_id, rows(Item("a", blue), source="id"))
    assert not np.array_equal(by_id, rows(Item("b", red), source="id"))


def test_values_are_the_same_on_every_machine() -> None:
    key = int.from_bytes(hashlib.sha256(b"7:x").digest(), "big")
    expected = np.random.default_rng(key).standard_normal((1, 4)).astype(np.float32)
    item = Item("x", Image.new("RGB", (1, 1)))
    assert np.array_equal(rows(item, source="id", seed=7, dim=4, dtype="float32"), expected)


def test_values_are_standard_normal() -> None:
    values = rows(Item("x", Image.new("RGB", (1, 1))), rows=100, dim=100, dtype="float32")
    assert abs(values.mean()) < 0.05 and abs(values.std() - 1) < 0.05
