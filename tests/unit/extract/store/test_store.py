"""Feature files: what is written is read back, whatever breaks the contract is refused."""

import errno
import multiprocessing
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.core.errors import MissingFileError, StoreError
from extract.core.system import NamedSystemError, explain
from extract.store import FeatureStore, FeatureWriter, StoredItem
from extract.store.verify import check_bytes
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from tests.builders.extract.feature_files import (
    FULL,
    assert_holds,
    change_file,
    make_header,
    make_ids,
    make_item,
    write_merged,
    write_shard,
)

ARCHIVES = sorted((Path(__file__).parents[3] / "data/archives").glob("v1.*.h5"))

FEATURES = Outputs(feature_dim=3, feature_dtype="float16")


def write_one(folder: Path, item: ItemFeatures, outputs: Outputs = FEATURES) -> Path:
    return write_shard(folder / "one.h5", make_header(["pic.1"], outputs), [item])


@pytest.mark.parametrize(
    "outputs",
    [
        FULL,
        Outputs(feature_dim=6, feature_dtype="float32"),
        Outputs(text=True),
        Outputs(text=True, boxes=True, scores=True),
        Outputs(boxes=True, labels=("a", "b", "c")),
    ],
    ids=["full", "features", "text", "words", "boxes"],
)
@pytest.mark.parametrize("merged", [False, True], ids=["shard", "merged"])
def test_what_is_written_is_read_back(tmp_path: Path, outputs: Outputs, merged: bool) -> None:
    n = 17
    results = [make_item(i, outputs) for i in range(n)]
    if merged:
        path = write_merged(tmp_path / "m.h5", n, outputs)
    else:
        path = write_shard(tmp_path / "s.h5", make_header(make_ids(n), outputs), results, 5)
    with FeatureStore(path) as store:
        assert store.ids == list(make_ids(n))
        assert len(store) == n
        for image_id, expected in zip(make_ids(n), results, strict=True):
            assert image_id in store
            assert_holds(store.item(image_id), expected, outputs)
        # Rows come in manifest order.
        assert [image_id for image_id, _ in store.items()] == list(make_ids(n))
        assert sum(store.status_counts().values()) == n
        assert store.status_counts()["ok"] == sum(r.n_rows > 0 for r in results)
        assert store.fingerprint == "f" * 64
        assert store.id_kind == "image"
        assert store.outputs.labels == outputs.labels
        assert store.outputs.grid == outputs.grid
        assert store.input_sha256()[".."] == "input of .."
        assert store.provenance["spec"] == {"name": "full"}
    assert not list(tmp_path.glob("*.partial"))


def test_pixels_keep_every_value_and_their_shape(tmp_path: Path) -> None:
    outputs = Outputs(feature_dim=256, feature_dtype="uint8", item_shape=(16, 16))
    pixels = np.arange(256, dtype=np.uint8)[None]
    with FeatureStore(write_one(tmp_path, ItemFeatures(features=pixels), outputs)) as store:
        np.testing.assert_array_equal(store.item("pic.1").features, pixels)
        assert store.outputs == outputs


def test_a_store_without_items_is_a_store(tmp_path: Path) -> None:
    with FeatureStore(write_shard(tmp_path / "s.h5", make_header([]), [])) as store:
        assert store.ids == []
        assert list(store.items()) == []
        assert set(store.status_counts().values()) == {0}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (ItemFeatures(), "status ok with 0 rows"),
        (ItemFeatures(np.zeros((1, 3)), status=STATUS["missing"], reason="x"), "missing with 1"),
        (ItemFeatures(np.zeros((0, 3)), status=STATUS["missing"]), "no reason"),
        (ItemFeatures(np.zeros((1, 4))), r"features should be \(1, 3\), got \(1, 4\)"),
        (ItemFeatures(np.zeros((1, 3)), text=["a"]), "'text' is returned but not declared"),
        (ItemFeatures(text=["a"]), "'text' is returned but not declared"),
        (ItemFeatures(np.array([[0, 1, np.nan]])), "features are not finite"),
        (ItemFeatures(np.array([[0, 1, np.inf]])), "features are not finite"),
    ],
)
def test_an_item_that_breaks_the_contract_is_named(
    tmp_path: Path, item: ItemFeatures, message: str
) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        write_one(tmp_path, item)
    assert "item 'pic.1'" in str(caught.value)


def full_item(**changed: object) -> ItemFeatures:
    return replace(make_item(0), **changed)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        # Two texts for two rows, so that three or one would shift all that follow.
        (full_item(text=["a"]), "text should be"),
        (full_item(text=["a", "b", "c"]), "text should be"),
        (full_item(scores=np.zeros(3)), "scores should be"),
        (full_item(boxes=np.zeros((2, 5))), "boxes should be"),
        (full_item(boxes=np.full((2, 4), np.nan)), "boxes are not finite"),
        (full_item(labels=None), "'labels' is declared but was not returned"),
        (full_item(labels=np.array([0.5, 1])), "labels are not whole numbers"),
        (full_item(text=["a\0b", "c"]), "cannot be stored"),
        (full_item(text=["a", "\ud800"]), "cannot be stored"),
    ],
)
def test_columns_of_one_item_fit_each_other(
    tmp_path: Path, item: ItemFeatures, message: str
) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        write_one(tmp_path, item, FULL)
    assert "item 'pic.1'" in str(caught.value)


def test_a_value_over_the_range_of_float16_names_the_item(tmp_path: Path) -> None:
    # 65504 is the largest float16; 65520 is the first that rounds to infinity.
    largest = np.array([[65504.0, -65519.0, 0.0]])
    with FeatureStore(write_one(tmp_path, ItemFeatures(largest))) as store:
        assert store.item("pic.1").features.tolist() == [[65504.0, -65504.0, 0.0]]
    with pytest.raises(StoreError, match=r"'pic\.1'.*float16.*65520.*float32"):
        write_one(tmp_path, ItemFeatures(np.array([[65520.0, 0.0, 0.0]])))


@pytest.mark.parametrize("value", [256.0, -1.0, 0.5])
def test_a_pixel_never_wraps(tmp_path: Path, value: float) -> None:
    outputs = Outputs(feature_dim=1, feature_dtype="uint8")
    with pytest.raises(StoreError, match=r"'pic\.1'.*features are not whole numbers in uint8"):
        write_one(tmp_path, ItemFeatures(np.array([[value]])), outputs)


def test_a_refused_batch_leaves_the_shard_as_it_was(tmp_path: Path) -> None:
    ids = make_ids(4)
    writer = FeatureWriter(tmp_path / "p", make_header(ids))
    writer.append([make_item(0), make_item(1)])
    with pytest.raises(StoreError):
        writer.append([make_item(2), full_item(text=["a"])])
    assert writer.n_done == 2
    with pytest.raises(StoreError, match="2 of 4 items"):
        writer.finish(tmp_path / "s.h5", {})
    writer.append([make_item(2), make_item(3)])
    writer.finish(tmp_path / "s.h5", {})
    with FeatureStore(tmp_path / "s.h5") as store:
        for i, image_id in enumerate(ids):
            assert_holds(store.item(image_id), make_item(i))


def test_an_id_occurs_once() -> None:
    with pytest.raises(StoreError, match="twice"):
        make_header(["a", "b", "a"])


def test_an_unknown_id_is_an_error_with_the_file(tmp_path: Path) -> None:
    with FeatureStore(write_merged(tmp_path / "m.h5")) as store:
        assert "nobody" not in store
        with pytest.raises(StoreError, match=r"m\.h5.*nobody"):
            store.item("nobody")


def test_a_file_that_is_not_there_or_not_whole_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.h5"):
        len(FeatureStore(tmp_path / "none.h5"))
    cut_off = write_merged(tmp_path / "s.h5")
    change_file(cut_off, lambda file: file.attrs.update(complete=False))
    with pytest.raises(StoreError, match=r"s\.h5: not complete"):
        len(FeatureStore(cut_off))
    garbage = tmp_path / "g.h5"
    garbage.write_bytes(b"no HDF5 at all")
    with pytest.raises(StoreError, match=r"g\.h5: not readable"):
        len(FeatureStore(garbage))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("step", ["opening.check_seal", "format.open_file"])
def test_a_file_that_could_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    path = write_merged(tmp_path / "m.h5")

    def refuse(*_: object) -> None:
        # As h5py says it, with the number in the text alone.
        raise OSError(f"Can't read data (file read failed: errno = {number}, error message = 'x')")

    monkeypatch.setattr(f"extract.store.{step}", refuse)
    with pytest.raises(NamedSystemError) as caught:
        len(FeatureStore(path))
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert "Delete" not in explain(caught.value)


@pytest.mark.parametrize(("version", "is_read"), [("1.7", True), ("2.0", False), ("10.0", False)])
def test_only_the_same_major_version_is_read(tmp_path: Path, version: str, is_read: bool) -> None:
    path = write_merged(tmp_path / "m.h5")
    change_file(path, lambda file: file.attrs.update(format_version=version))
    if is_read:
        assert len(FeatureStore(path)) == 10
    else:
        with pytest.raises(
            StoreError, match=rf"m\.h5: expected mner-features 1\.1, got .*{version}"
        ):
            len(FeatureStore(path))


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(StoreError, match=r"foreign\.h5: expected mner-features"):
        len(FeatureStore(path))


def test_a_store_opens_lazily_and_again_after_close(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "m.h5")
    write_merged(tmp_path / "m.h5")
    assert_holds(store.item(".."), make_item(1))
    store.close()
    store.close()
    assert_holds(store.item("x"), make_item(9))
    store.close()
    write_merged(tmp_path / "m.h5", 3)
    assert store.item("..").n_rows == 0
    assert store.ids == list(make_ids(3))


def test_pickling_takes_the_path_alone(tmp_path: Path) -> None:
    with FeatureStore(write_merged(tmp_path / "m.h5")) as store:
        assert len(store) == 10
        data = pickle.dumps(store)
        with pickle.loads(data) as copy:
            assert_holds(copy.item("0015"), make_item(4))
    assert len(data) < 500


def _send_items(store: FeatureStore, ids: list[str], queue: multiprocessing.Queue) -> None:
    queue.put([store.item(image_id) for image_id in ids])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_a_store_that_the_parent_has_open(tmp_path: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    with FeatureStore(write_merged(tmp_path / "m.h5", 12)) as store:
        assert_holds(store.item("x"), make_item(9))
        halves = [store.ids[:6], store.ids[6:]]
        queues = [context.Queue() for _ in halves]
        workers = [
            context.Process(target=_send_items, args=(store, ids, queue))
            for ids, queue in zip(halves, queues, strict=True)
        ]
        for worker in workers:
            worker.start()
        found: list[StoredItem] = [item for queue in queues for item in queue.get(timeout=60)]
        for worker in workers:
            worker.join(timeout=60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        for i, item in enumerate(found):
            assert_holds(item, make_item(i))
        # The parent's own handle still works.
        assert_holds(store.item("x"), make_item(9))


def test_threads_open_a_store_together(tmp_path: Path) -> None:
    path = write_merged(tmp_path / "m.h5")
    errors: list[BaseException] = []

    def read(store: FeatureStore, barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            assert_holds(store.item("😀/😀"), make_item(7))
        except BaseException as error:
            errors.append(error)

    for _ in range(30):
        store, barrier = FeatureStore(path), threading.Barrier(4)
        threads = [threading.Thread(target=read, args=(store, barrier)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    """The format's MUST sentences, read with h5py alone."""
    with h5py.File(write_merged(tmp_path / "m.h5"), "r") as file:
        assert file.attrs["format"] == "mner-features"
        assert file.attrs["format_version"] == "1.1"
        assert file.attrs["id_kind"] == "image"
        assert file.attrs["n_items"] == 10
        assert file.attrs["complete"]
        assert file["status"].dtype == np.uint8
        assert file["offsets"].dtype == np.int64
        assert file["offsets"].shape == (11,)
        sizes = [make_item(i).n_rows for i in range(10)]
        assert file["offsets"][:].tolist() == [0, *np.cumsum(sizes)]
        for group in ("rows", "items"):
            for dataset in file[group].values():
                assert all(axis.label for axis in dataset.dims), dataset.name
        assert file["rows/boxes"].attrs["unit"] == "pixel"
        assert file["items/image_size"].attrs["unit"] == "pixel"
        assert tuple(file["rows/features"].attrs["item_shape"]) == (2, 3)
        assert tuple(file["rows/features"].attrs["grid"]) == (1, 2)
        assert file["rows/scores"].dtype == np.float32
        assert file["rows/labels"].dtype == np.int32
        assert file["vocab/labels"].asstr()[:].tolist() == list(FULL.labels)


def test_ids_and_inputs_decide_ids_sha256() -> None:
    header = make_header(["a", "b"])
    others = [
        make_header(["b", "a"]),
        make_header(["a"]),
        replace(header, input_sha256=("input of a", "other")),
    ]
    assert header.ids_sha256 == make_header(["a", "b"], fingerprint="0").ids_sha256
    assert header.ids_sha256 not in {other.ids_sha256 for other in others}


def test_every_version_has_its_archive() -> None:
    assert [path.stem for path in ARCHIVES] == ["v1.0", "v1.1"]


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.stem)
def test_files_of_earlier_versions_are_read_forever(archive: Path) -> None:
    """Written once by the first release of each version of the format; never written again."""
    check_bytes(archive)
    with FeatureStore(archive) as store:
        assert store.ids == list(make_ids(12))
        assert store.outputs == FULL
        for i, image_id in enumerate(store.ids):
            assert_holds(store.item(image_id), make_item(i))
