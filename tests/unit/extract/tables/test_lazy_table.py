"""Large tables take the memory of their bytes, and say the same as lists."""

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract.tables.images_table import ImageRow, read_images, write_images
from extract.tables.lazy_table import LazyTable
from extract.tables.samples import Sample, pack_samples, read_samples, write_samples

N = 3000
SAMPLES = [Sample(f"s{i}", f"i{i}", [f"word{i % 7}"] * 9, ["B-PER"] + ["O"] * 8) for i in range(N)]


def held_bytes(make: Callable[[], Any]) -> int:
    """Return the memory that the result of a call holds."""
    tracemalloc.start()
    kept = make()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == N
    return size


def test_the_manifest_takes_the_memory_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    write_images(
        path, (ImageRow(f"i{i}", f"images/i{i}.png", "0" * 64, 5, 6, "ok") for i in range(N))
    )
    assert held_bytes(lambda: read_images(path)) < 1.5 * path.stat().st_size


def test_packed_samples_take_the_memory_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_samples(path, SAMPLES)
    size = path.stat().st_size
    assert held_bytes(lambda: pack_samples(iter(SAMPLES))) < 1.5 * size
    assert pack_samples(SAMPLES) == SAMPLES


def test_a_word_that_comes_again_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_samples(path, SAMPLES)
    samples = read_samples(path)
    assert len({id(token) for sample in samples for token in sample.tokens}) == 7
    assert len({id(tag) for sample in samples for tag in sample.tags or ()}) == 2


def numbers(n: int) -> LazyTable[int]:
    return LazyTable(b"head" + b"12" * n, np.arange(4, 2 * n + 5, 2), int)


def test_it_is_a_sequence() -> None:
    table = numbers(3)
    assert len(table) == 3
    assert list(table) == [12, 12, 12] == table == (12, 12, 12)
    assert table != [12, 12] and table != "121212" and table != 3
    assert table[-1] == 12 and table[1:] == [12, 12] and table[::-2] == [12, 12]
    assert 12 in table and 13 not in table
    for index in (3, -4):
        with pytest.raises(IndexError, match=rf"record {index} of 3"):
            table[index]
    assert numbers(0) == [] and not numbers(0)
    # As worker processes get it where they are not forked.
    assert pickle.loads(pickle.dumps(table)) == table
