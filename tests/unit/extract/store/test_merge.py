"""merge(n shards) is bitwise one shard, whatever n; what does not belong together is refused."""

import hashlib
import tempfile
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.core.errors import MissingFileError, StoreError
from extract.features.engine import select_shard
from extract.store import FeatureStore, FeatureWriter, checksums, merge, merge_shards
from extract.store.checksums import checked_datasets, content_sha256
from extract.tables import lazy_table
from extract.tables.bytes_on_disk import GrowingBytes
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.extract.feature_files import (
    FULL,
    assert_holds,
    change_file,
    make_header,
    make_ids,
    make_item,
    read_all,
    write_shard,
)

N = 10


def write_shards(folder: Path, n_shards: int, batch_size: int = 2) -> list[Path]:
    """The same N items in n contiguous shards."""
    paths = []
    for k in range(1, n_shards + 1):
        part = select_shard(list(enumerate(make_ids(N))), f"{k}-of-{n_shards}")
        header = make_header([image_id for _, image_id in part])
        results = [make_item(i) for i, _ in part]
        paths.append(write_shard(folder / f"{k}-of-{n_shards}.h5", header, results, batch_size))
    return paths


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7, 13])
def test_any_number_of_shards_gives_the_same_file(tmp_path: Path, n_shards: int) -> None:
    (one,) = write_shards(tmp_path, 1, batch_size=N)
    merge_shards([one], tmp_path / "one.h5", ids=make_ids(N))
    shards = write_shards(tmp_path, n_shards)
    merge_shards(shards, tmp_path / "many.h5", ids=make_ids(N))
    assert read_all(tmp_path / "many.h5") == read_all(tmp_path / "one.h5")
    assert sha256(tmp_path / "many.h5") == sha256(tmp_path / "one.h5")
    # The merged rows are also those of the single shard.
    assert read_all(tmp_path / "many.h5") == read_all(one)
    with FeatureStore(tmp_path / "many.h5") as store:
        for i, (_, item) in enumerate(store.items()):
            assert_holds(item, make_item(i))
        counts = {name: count for name, count in store.status_counts().items() if count}
        assert counts == {"ok": 7, "missing": 1, "unreadable": 1, "nothing_found": 1}
        assert store.provenance["counts"] == store.status_counts()


def test_many_blocks_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write_shards(tmp_path, 2)
    merge_shards(shards, tmp_path / "one.h5")
    monkeypatch.setattr(checksums, "_BLOCK_BYTES", 24)
    merge_shards(shards, tmp_path / "many.h5")
    assert sha256(tmp_path / "many.h5") == sha256(tmp_path / "one.h5")


def test_many_shards_need_no_more_temporary_files_than_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a file descriptor of its own."""
    make, made = tempfile.TemporaryFile, []

    def count() -> object:
        made[-1] += 1
        return make()

    for n_shards in (2, 9):
        shards = write_shards(tmp_path, n_shards)
        made.append(0)
        with monkeypatch.context() as patch:
            patch.setattr(lazy_table, "GrowingBytes", partial(GrowingBytes, limit=0))
            patch.setattr(tempfile, "TemporaryFile", count)
            merge_shards(shards, tmp_path / "m.h5", ids=make_ids(N))
    assert made[0] == made[1] > 0


def test_the_memory_of_joining_texts_does_not_grow_with_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_STRINGS_PER_BLOCK", 2)
    text_bytes, peaks = 200_000, []
    for n_parts in (8, 32):
        header = make_header([f"i{i}" for i in range(n_parts)], Outputs(text=True))
        writer = FeatureWriter(tmp_path / "partial", header)
        for _ in range(n_parts):
            writer.append([ItemFeatures(text=("x" * text_bytes,))])
        tracemalloc.start()
        writer.finish(tmp_path / "s.h5", {})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5 * text_bytes


def test_no_items_merge_to_no_items(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / f"{k}.h5", make_header([]), []) for k in "ab"]
    merge_shards(shards, tmp_path / "m.h5", ids=[])
    assert len(FeatureStore(tmp_path / "m.h5")) == 0


def test_merged_files_are_contiguous_and_uncompressed_with_checksums(tmp_path: Path) -> None:
    merge_shards(write_shards(tmp_path, 2), tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r") as file:
        names = ["ids", "status", "offsets", "vocab/labels"]
        names += [f"{group}/{name}" for group in ("rows", "items") for name in file[group]]
        for name in names:
            dataset = file[name]
            assert dataset.chunks is None, name
            assert dataset.compression is None, name
            assert dataset.attrs["sha256"] == content_sha256(dataset), name
        # The checksum of numbers is that of their bytes in C order.
        features = np.ascontiguousarray(file["rows/features"][:])
        assert file["rows/features"].attrs["sha256"] == hashlib.sha256(features).hexdigest()
        ids = "".join(f"{image_id}\0" for image_id in make_ids(N)).encode()
        assert file["ids"].attrs["sha256"] == hashlib.sha256(ids).hexdigest()


def two_shards(folder: Path, **second: object) -> list[Path]:
    """Shards of items 0-1 and 2-3; the second one's header is changed."""
    ids = make_ids(4)
    header = replace(make_header(ids[2:]), **second)
    results = [make_item(i, header.outputs) for i in range(len(header.ids))]
    return [
        write_shard(folder / "a.h5", make_header(ids[:2]), [make_item(0), make_item(1)]),
        write_shard(folder / "b.h5", header, results),
    ]


LESS = Outputs(**{**vars(FULL), "scores": False})
OTHER_LABELS = Outputs(**{**vars(FULL), "labels": ("x", "y", "z")})
WIDER = Outputs(**{**vars(FULL), "feature_dtype": "float32"})


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"fingerprint": "0" * 64}, r"b\.h5: fingerprint '000.*a\.h5's 'fff"),
        ({"id_kind": "sample"}, r"b\.h5: id_kind 'sample'"),
        ({"outputs": LESS}, r"b\.h5: other columns than .*a\.h5"),
        ({"outputs": OTHER_LABELS}, r"b\.h5: other columns than .*a\.h5"),
        ({"outputs": WIDER}, r"b\.h5: other columns than .*a\.h5"),
    ],
)
def test_shards_of_different_things_are_refused(
    tmp_path: Path, second: dict[str, object], message: str
) -> None:
    out = tmp_path / "m.h5"
    with pytest.raises(StoreError, match=message):
        merge_shards(two_shards(tmp_path, **second), out)
    assert not out.exists()


def test_ids_are_exactly_the_manifests(tmp_path: Path) -> None:
    shards, out = two_shards(tmp_path), tmp_path / "m.h5"
    ids = list(make_ids(4))
    with pytest.raises(StoreError, match=r"4 ids, the manifest 5: 1 missing \['new'\], 0 surplus"):
        merge_shards(shards, out, ids=[*ids, "new"])
    with pytest.raises(StoreError, match=r"0 missing \[\], 1 surplus"):
        merge_shards(shards, out, ids=ids[:3])
    with pytest.raises(StoreError, match="another order"):
        merge_shards(shards, out, ids=ids[::-1])
    with pytest.raises(StoreError, match="another order"):
        merge_shards(shards[::-1], out, ids=ids)
    with pytest.raises(StoreError, match="2 missing"):
        merge_shards(shards[:1], out, ids=ids)
    with pytest.raises(StoreError, match=r"m\.h5: an id occurs in two shards"):
        merge_shards([shards[0], shards[0]], out)
    assert not out.exists()
    merge_shards(shards, out, ids=ids)
    assert FeatureStore(out).ids == ids


def test_a_missing_or_unfinished_shard_is_refused(tmp_path: Path) -> None:
    shards = two_shards(tmp_path)
    with pytest.raises(MissingFileError, match=r"c\.h5"):
        merge_shards([*shards, tmp_path / "c.h5"], tmp_path / "m.h5")
    with h5py.File(shards[1], "r+") as file:
        file.attrs["complete"] = False
    with pytest.raises(StoreError, match=r"b\.h5: not complete"):
        merge_shards(shards, tmp_path / "m.h5")


def test_a_failed_merge_leaves_the_old_file(tmp_path: Path) -> None:
    shards, out = two_shards(tmp_path), tmp_path / "m.h5"
    merge_shards(shards, out)
    before = sha256(out)
    with pytest.raises(StoreError):
        merge_shards(shards, out, ids=["other"])
    with h5py.File(shards[1], "r+") as file:
        # Found out while rows are copied, when the new file is half written.
        del file["rows/text"]
        file["rows/text"] = np.zeros(1)
    with pytest.raises((StoreError, TypeError, ValueError)):
        merge_shards(shards, out)
    assert sha256(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5", "m.h5"]


def test_a_shard_that_is_replaced_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = two_shards(tmp_path)
    join = merge.join_files

    def replaced_before(*arguments: object) -> None:
        shards[1].with_name("new.h5").write_bytes(shards[1].read_bytes())
        shards[1].with_name("new.h5").replace(shards[1])
        join(*arguments)

    monkeypatch.setattr(merge, "join_files", replaced_before)
    with pytest.raises(StoreError, match=r"b\.h5: was replaced while it was merged"):
        merge_shards(shards, tmp_path / "m.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_shards_of_two_versions_of_a_tool_are_refused(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, 2)

    def change_tools(file: h5py.File) -> None:
        del file["provenance"]
        file.create_dataset("provenance", data='{"tools": {"tesseract": "4.1.1"}}')

    change_file(paths[1], change_tools)
    with pytest.raises(StoreError, match=r"made with \{'tesseract': '4\.1\.1'\}"):
        merge_shards(paths, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", ["status", "rows/features", "items/image_size"])
def test_a_damaged_shard_is_refused(tmp_path: Path, name: str) -> None:
    shards = write_shards(tmp_path, 2)
    with h5py.File(shards[1]) as file:
        place = file[name].id.get_offset()
    data = bytearray(shards[1].read_bytes())
    data[place] ^= 1
    shards[1].write_bytes(data)
    with pytest.raises(StoreError, match=r"2-of-2\.h5"):
        merge_shards(shards, tmp_path / "x.h5", ids=make_ids(N))
    assert not (tmp_path / "x.h5").exists()


def test_a_shard_of_the_first_version_is_computed_anew(tmp_path: Path) -> None:
    """Its shards had neither checksums nor a seal; a merged file had checksums."""
    shards = write_shards(tmp_path, 2)
    with h5py.File(shards[1], "r+") as file:
        file.attrs["format_version"] = "1.0"
        for dataset in checked_datasets(file):
            del dataset.attrs["sha256"]
    message = r"2-of-2\.h5: made by an earlier version of this program.* computed anew"
    with pytest.raises(StoreError, match=message):
        merge_shards(shards, tmp_path / "x.h5", ids=make_ids(N))
