"""A file that points elsewhere, or is of other types and shapes, is refused before it is read."""

import resource
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.core.errors import StoreError
from extract.store import FeatureStore, merge_shards, verify_store
from extract.store.verify import check_bytes
from tests.builders.extract.evil_stores import EVIL, SECRET
from tests.builders.extract.feature_files import change_file, write_merged

N = 12


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_merged(tmp_path_factory.mktemp("good") / "good.h5", N)


@pytest.fixture
def store(good: Path, tmp_path: Path) -> Path:
    with h5py.File(tmp_path / SECRET, "w") as file:
        file["x"] = np.zeros((18, 6), "f2")
    return Path(shutil.copy(good, tmp_path / "evil.h5"))


@pytest.mark.parametrize("name", EVIL)
def test_what_is_not_of_the_format_is_refused(store: Path, name: str) -> None:
    change, words = EVIL[name]
    change_file(store, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (
        verify_store,
        check_bytes,
        lambda path: len(FeatureStore(path)),
        lambda path: merge_shards([path], path.with_name("merged.h5")),
    ):
        with pytest.raises(StoreError, match=r"evil\.h5: ") as caught:
            read(store)
        assert words in str(caught.value)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


def test_a_string_that_is_no_utf8_names_the_file(store: Path) -> None:
    def spoil(file: h5py.File) -> None:
        texts = file["rows/text"]
        texts[:] = np.array([b"\xff"] * len(texts), dtype=object)

    change_file(store, spoil)
    with FeatureStore(store) as opened, pytest.raises(StoreError, match=r"evil\.h5.*utf-8"):
        opened.item("a/b/c.jpg")


def test_offsets_whose_differences_are_beyond_int64_are_refused(store: Path) -> None:
    def wrap(file: h5py.File) -> None:
        file["offsets"][1:4] = 2**63 - 1, -(2**63), -1

    change_file(store, wrap)
    with pytest.raises(StoreError, match=r"evil\.h5: /offsets: expected non-decreasing"):
        len(FeatureStore(store))


def test_ids_that_are_equal_are_refused(store: Path) -> None:
    def double(file: h5py.File) -> None:
        file["ids"][:2] = "x"

    change_file(store, double)
    with pytest.raises(StoreError, match=r"evil\.h5: an id occurs twice"):
        len(FeatureStore(store))


def test_provenance_nested_without_end_is_an_error(store: Path) -> None:
    def nest(file: h5py.File) -> None:
        del file["provenance"]
        file["provenance"] = "[" * 40_000

    change_file(store, nest)
    with FeatureStore(store) as opened, pytest.raises(StoreError, match=r"evil\.h5"):
        _ = opened.provenance
