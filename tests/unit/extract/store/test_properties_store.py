"""The store gives back what was written, however it was cut into batches and shards, and killed."""

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.store import FeatureStore, FeatureWriter, Header, merge_shards, verify_store
from extract.tables.images_table import ImageRow
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.extract.examples import examples
from tests.builders.extract.strategies import TEXT, item_features, outputs
from tests.unit.extract.features.test_resume import before_each_operation

COLUMNS = ("features", "text", "boxes", "scores", "labels")
# HDF5 strings end at a NUL.
IDS = st.lists(TEXT.map(lambda text: text.replace("\0", "")), max_size=7, unique=True)
PROVENANCE = {"spec": "x"}


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


@st.composite
def shards(draw: st.DrawFn) -> tuple[Header, list[ItemFeatures]]:
    """The header of a feature set, and its items."""
    columns, ids = draw(outputs()), draw(IDS)
    results = [draw(item_features(columns)) for _ in ids]
    sizes = draw(st.lists(st.tuples(*2 * [st.integers(0, 9999)]), min_size=7))
    header = Header(
        fingerprint="f" * 64,
        outputs=columns,
        ids=tuple(ids),
        input_sha256=tuple(draw(TEXT).replace("\0", "") for _ in ids),
        image_size=np.array(sizes[: len(ids)], np.int32).reshape(-1, 2),
    )
    return header, results


def part(header: Header, start: int, stop: int) -> Header:
    """The header of some items."""
    return Header(
        header.fingerprint,
        header.outputs,
        header.ids[start:stop],
        header.input_sha256[start:stop],
        header.image_size[start:stop],
    )


def write(path: Path, header: Header, results: Sequence[ItemFeatures], batch_size: int) -> Path:
    """Write a shard from wherever it was stopped."""
    writer = FeatureWriter(path.with_name(path.name + ".partial"), header)
    for start in range(writer.n_done, len(results), batch_size):
        writer.append(results[start : start + batch_size])
    writer.finish(path, PROVENANCE)
    return path


def merged(folder: Path, header: Header, results: list[ItemFeatures], bounds: list[int]) -> Path:
    """Write shards between those bounds, in batches of 2, and merge them."""
    paths = [
        write(folder / f"{k}.h5", part(header, *pair), results[slice(*pair)], 2)
        for k, pair in enumerate(pairwise(bounds))
    ]
    merge_shards(paths, folder / "merged.h5", ids=header.ids)
    return folder / "merged.h5"


def assert_same(store: FeatureStore, header: Header, results: list[ItemFeatures]) -> None:
    assert tuple(store.ids) == header.ids
    kinds = {"features": header.outputs.feature_dtype, "labels": "int32"}
    for image_id, expected in zip(header.ids, results, strict=True):
        item = store.item(image_id)
        assert (item.status, item.reason) == (expected.status, expected.reason)
        assert item.n_rows == expected.n_rows
        for name in COLUMNS:
            given_, found = getattr(expected, name), getattr(item, name)
            if given_ is None:
                assert found is None or len(found) == 0
            elif name == "text":
                assert found == tuple(given_)
            else:
                # Bits: NaN is not equal to itself, and -0.0 is equal to 0.0.
                expected_array = np.asarray(given_, kinds.get(name, "float32"))
                assert found.dtype == expected_array.dtype
                assert found.tobytes() == expected_array.tobytes()


@examples(30)
@given(shards(), st.integers(1, 8))
def test_what_is_written_is_read(shard: tuple[Header, list[ItemFeatures]], batch_size: int) -> None:
    header, results = shard
    with tempfile.TemporaryDirectory() as folder:
        with FeatureStore(write(Path(folder) / "s.h5", header, results, batch_size)) as store:
            assert_same(store, header, results)
            assert store.outputs.feature_dim == header.outputs.feature_dim
        assert [path.name for path in Path(folder).iterdir()] == ["s.h5"]


@examples(12)
@given(shards(), st.data())
def test_any_number_of_shards_gives_the_bytes_of_one(
    shard: tuple[Header, list[ItemFeatures]], data: st.DataObject
) -> None:
    header, results = shard
    n = len(results)
    cuts = data.draw(st.lists(st.integers(0, n), max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        one, many = Path(folder) / "one", Path(folder) / "many"
        for path in (one, many):
            path.mkdir()
        whole = merged(one, header, results, [0, n])
        assert merged(many, header, results, sorted([0, *cuts, n])).read_bytes() == (
            whole.read_bytes()
        )
        with FeatureStore(whole) as store:
            assert_same(store, header, results)
        check_verified(whole, header)


def check_verified(path: Path, header: Header) -> None:
    """A good file verifies, unless its boxes, drawn at random, are none."""
    rows = zip(header.ids, header.image_size.tolist(), strict=True)
    images = [ImageRow(image_id, "", "", h, w, "ok") for image_id, (h, w) in rows]
    if not header.outputs.boxes:
        assert verify_store(path, images)["items"] == len(images)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@examples(25)
@given(shards(), st.integers(1, 4), st.lists(st.integers(0, 120), min_size=1, max_size=3))
def test_a_shard_that_is_killed_again_and_again_ends_with_the_same_bytes(
    shard: tuple[Header, list[ItemFeatures]], batch_size: int, moments: list[int]
) -> None:
    header, results = shard
    with tempfile.TemporaryDirectory() as folder:
        whole = write(Path(folder) / "whole.h5", header, results, batch_size).read_bytes()
        path = Path(folder) / "s.h5"
        for moment in moments:
            kill_at(moment, path, header, results, batch_size)
            if path.exists():
                break
        if not path.exists():
            write(path, header, results, batch_size)
        assert path.read_bytes() == whole


def kill_at(
    moment: int, path: Path, header: Header, results: list[ItemFeatures], batch_size: int
) -> None:
    """Write the shard up to its n-th operation on files, if it comes to that."""
    left = moment

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            # No operation after this one, as for a process that is no more.
            raise Killed

    with before_each_operation(count):
        try:
            write(path, header, results, batch_size)
        except Killed:
            return


@examples(30)
@given(outputs(), st.data())
def test_an_item_that_breaks_its_declaration_is_refused_whole(
    columns: Outputs, data: st.DataObject
) -> None:
    good = data.draw(item_features(columns).filter(lambda item: item.n_rows > 0))
    names = [name for name in COLUMNS if getattr(good, name) is not None]
    name = data.draw(st.sampled_from(names))
    longer = np.concatenate([np.asarray(getattr(good, name)), np.asarray(getattr(good, name))])
    # Twice the rows of a column that stands alone are an item of as many rows.
    wrong = data.draw(st.sampled_from([None, longer])) if len(names) > 1 else None
    header = Header("f" * 64, columns, ("a",), ("0",), np.zeros((1, 2), np.int32))
    with tempfile.TemporaryDirectory() as folder:
        writer = FeatureWriter(Path(folder) / "s.h5.partial", header)
        with pytest.raises(Exception, match="item 'a'"):
            writer.append([ItemFeatures(**{**vars(good), name: wrong})])
        assert not list(writer.path.iterdir())
        writer.append([good])
        assert writer.n_done == 1
