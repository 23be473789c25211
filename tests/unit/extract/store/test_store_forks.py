"""A feature store in a process and in its forks, as the workers of a training are."""

import multiprocessing
import os
from pathlib import Path

import pytest

from extract.core.errors import StoreError
from extract.store import FeatureStore, reader
from extract.tables.rows import STATUS, Outputs
from tests.builders.extract.feature_files import make_ids, write_merged

FEATURES = Outputs(feature_dim=6, feature_dtype="float32")


def test_a_fork_shares_the_index_and_opens_nothing_for_numbers(tmp_path: Path) -> None:
    """What workers of a training copy, each of them has in memory."""
    store = FeatureStore(write_merged(tmp_path / "m.h5", 6, FEATURES))
    image_id = next(i for i in make_ids(6) if store.status_of(i) == STATUS["ok"])
    here = store.item(image_id).features.tolist()
    context = multiprocessing.get_context("fork")
    found = context.Queue()

    def read() -> None:
        features = store.item(image_id).features.tolist()
        found.put((features, store._pid == multiprocessing.current_process().pid))

    child = context.Process(target=read)
    child.start()
    assert found.get(timeout=60) == (here, False)
    child.join(timeout=60)


def test_rows_of_two_files_are_never_mixed(tmp_path: Path) -> None:
    """A fork whose file was replaced has the index of the old one."""
    outputs = Outputs(text=True)
    path = write_merged(tmp_path / "m.h5", 6, outputs)
    store = FeatureStore(path)
    assert len(store) == 6
    write_merged(path, 9, outputs)
    context = multiprocessing.get_context("fork")
    found = context.Queue()

    def read() -> None:
        try:
            found.put(store.item(make_ids(6)[0]))
        except StoreError as error:
            found.put(str(error))

    child = context.Process(target=read)
    child.start()
    assert "was replaced while it was in use" in found.get(timeout=60)
    child.join(timeout=60)


@pytest.mark.parametrize("step", ["open_checked", "read_vocabularies"])
def test_a_file_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Each step opens the path: the seal, HDF5, the maps of numbers."""
    path, other = (write_merged(tmp_path / f"{n}.h5", n, FEATURES) for n in (6, 9))
    original = getattr(reader, step)

    def replace_first(*args: object) -> object:
        os.replace(other, path)
        return original(*args)

    store = FeatureStore(path)
    with monkeypatch.context() as patch:
        patch.setattr(reader, step, replace_first)
        with pytest.raises(StoreError, match="was replaced while it was in use"):
            len(store)
    # Nothing of the failed try is left: the index, too, is that of the new file.
    assert len(store) == 9


def test_a_closed_store_opens_what_is_there_then(tmp_path: Path) -> None:
    for outputs in (Outputs(text=True), FEATURES):
        path = write_merged(tmp_path / "m.h5", 6, outputs)
        store = FeatureStore(path)
        assert len(store) == 6
        store.close()
        write_merged(path, 9, outputs)
        last = make_ids(9)[-1]
        with FeatureStore(path) as fresh:
            assert repr(store.item(last)) == repr(fresh.item(last))
        assert len(store) == 9
