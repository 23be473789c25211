"""Boxes against brute-force sets of pixels, and names of crops that no file system confuses."""

import re
import unicodedata
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.core.errors import ConfigError, DataError
from extract.crops.names import CropStems, crop_name
from extract.crops.plan import clip_to_image
from extract.features.engine import select_shard
from extract.images.decode import clip_box
from extract.interop.layouts.base import file_ids
from tests.builders.extract.strategies import TEXT

SIDE = st.integers(1, 6)
# On the pixels' edges, between them, and far away.
COORDINATE = st.integers(-4, 10) | st.floats(-4, 10) | st.floats(allow_nan=False)
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)


def touched(start: float, end: float, side: int) -> list[int]:
    """Return the pixels of a line of pixels that share more than an edge with [start, end)."""
    return [p for p in range(side) if max(start, p) < min(end, p + 1)]


@given(BOX, SIDE, SIDE)
def test_a_clipped_box_is_the_pixels_that_it_touches(
    box: tuple[float, ...], width: int, height: int
) -> None:
    found = clip_to_image(box, width, height)
    columns, rows = touched(box[0], box[2], width), touched(box[1], box[3], height)
    is_finite = all(abs(value) != float("inf") for value in box)
    if not (is_finite and columns and rows):
        assert found is None
        return
    assert found is not None
    x1, y1, x2, y2 = found
    assert set(product(range(x1, x2), range(y1, y2))) == set(product(columns, rows))


@given(BOX, SIDE, SIDE)
def test_a_box_always_has_pixels_of_its_image(
    box: tuple[float, ...], width: int, height: int
) -> None:
    if any(abs(value) == float("inf") for value in box):
        with pytest.raises(DataError, match="finite"):
            clip_box(box, width, height)
        return
    x1, y1, x2, y2 = clip_box(box, width, height)
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    assert {*touched(box[0], box[2], width)} in (set(), {*range(x1, x2)})
    assert {*touched(box[1], box[3], height)} in (set(), {*range(y1, y2)})


def on_disk(name: str) -> str:
    """Return a name as a file system may compare it."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFKC", name).casefold())


# Names that differ in case or in Unicode form at most, and such as look like the names of crops.
NEAR = st.lists(
    st.text("aA\u00e9\u00c9e\u0301/\\.%+0_\u212a kK\u00dfs", max_size=5) | TEXT, max_size=8
)


@given(NEAR)
def test_crops_of_two_images_never_share_a_file(image_ids: list[str]) -> None:
    stems = CropStems(image_ids)
    assert list(stems) == list(dict.fromkeys(image_ids))
    names = {on_disk(crop_name(stem, k)) for stem in stems.values() for k in range(12)}
    assert len(names) == 12 * len(stems)
    for name in names:
        assert not set(name) & set("/\\") and name.isascii() and name.isprintable()


@given(st.integers(170, 400), st.text("aA%", max_size=3), st.text("aA%", max_size=3))
def test_long_names_fit_a_file_system_and_still_differ(length: int, a: str, b: str) -> None:
    ids = ["x" * length + a, "x" * length + b]
    stems = CropStems(ids)
    assert len({crop_name(stem, 0).lower() for stem in stems.values()}) == len(set(ids))
    # With the dot, the machine, the number of the process and the ending of a temporary name.
    temporary = [f".{crop_name(s, 99)}.0a1b2c3d.4194304.tmp" for s in stems.values()]
    assert all(len(name.encode()) <= 255 for name in temporary)


@given(NEAR)
def test_exported_names_are_safe_and_differ_or_are_refused(image_ids: list[str]) -> None:
    try:
        names = file_ids(image_ids, "a project")
    except DataError:
        return
    assert set(names) == set(image_ids)
    assert len({unicodedata.normalize("NFC", n).casefold() for n in names.values()}) == len(names)
    assert not any("/" in name or "\\" in name or name.startswith(".") for name in names.values())


@given(st.integers(0, 60), st.integers(1, 70))
def test_shards_are_a_partition_in_order(n_images: int, n_shards: int) -> None:
    rows = list(range(n_images))
    parts = [select_shard(rows, f"{k}-of-{n_shards}") for k in range(1, n_shards + 1)]
    assert [row for part in parts for row in part] == rows
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(TEXT.filter(lambda text: not re.fullmatch(r"\d+-of-\d+", text)))
def test_what_is_no_shard_is_refused(shard: str) -> None:
    with pytest.raises(ConfigError, match="k-of-n"):
        select_shard([1, 2], shard)
