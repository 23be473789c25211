"""`verify` passes what is whole and finds every kind of damage."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.__main__ import main
from extract.core.errors import StoreError
from extract.store import checksums, merge_shards, verify_store
from extract.store.checksums import add_checksums, checked_datasets
from extract.tables.images_table import write_images
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from tests.builders.extract.feature_files import (
    change_file,
    make_header,
    make_ids,
    make_images,
    make_item,
    write_merged,
    write_shard,
)

N = 12
NUMBERS = (
    "status", "offsets", "items/image_size",
    "rows/features", "rows/boxes", "rows/scores", "rows/labels",
)  # fmt: skip
# A word of each string dataset that occurs in no other.
STRINGS = {
    "ids": "with space",
    "items/reason": "because 5",
    "items/input_sha256": "input of 0015",
    "rows/text": "text 3.1",
    "vocab/labels": "person",
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "features").mkdir()
    return write_merged(tmp_path / "features/full.h5", N)


def test_a_good_file_passes(store: Path) -> None:
    report = verify_store(store, make_images(make_ids(N)))
    assert report["items"] == N
    assert report["rows"] == sum(make_item(i).n_rows for i in range(N))
    assert report["columns"] == ["boxes", "features", "labels", "scores", "text"]
    assert report["status"] == {
        "ok": 9, "missing": 1, "unreadable": 1, "nothing_found": 1, "no_images": 0,
    }  # fmt: skip
    assert report["not_ok"][0] == {"id": "..", "status": "missing", "reason": "because 1 — né"}
    assert len(report["not_ok"]) == 3


def test_every_checked_dataset_is_tried(store: Path) -> None:
    with h5py.File(store) as file:
        checked = {dataset.name.removeprefix("/") for dataset in checked_datasets(file)}
    assert checked == {*NUMBERS, *STRINGS}


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def reseal(path: Path) -> None:
    """Seal what now is in the file, so that opening it finds nothing."""
    change_file(path, lambda _: None)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("at", ["first", "last"])
def test_a_flipped_bit_of_numbers_is_found(store: Path, name: str, at: str) -> None:
    with h5py.File(store) as file:
        start, size = file[name].id.get_offset(), file[name].nbytes
    flip(store, start if at == "first" else start + size - 1)
    finding = "full.h5.*\n.*/{name} does not match its checksum" if name[0] == "r" else "the seal"
    with pytest.raises(StoreError, match=finding.format(name=name)):
        verify_store(store)


@pytest.mark.parametrize(("name", "word"), STRINGS.items())
def test_a_flipped_bit_of_strings_is_found(store: Path, name: str, word: str) -> None:
    data = store.read_bytes()
    assert data.count(word.encode()) == 1 or name == "ids"
    flip(store, data.index(word.encode()))
    with pytest.raises(StoreError, match="the seal"):
        verify_store(store)
    reseal(store)
    with pytest.raises(StoreError, match=rf"/{name} does not match its checksum"):
        verify_store(store)


def test_a_string_that_is_no_longer_utf8_is_found(store: Path) -> None:
    data = bytearray(store.read_bytes())
    data[data.index("日".encode())] = 0xFF
    store.write_bytes(data)
    reseal(store)
    with pytest.raises(StoreError, match="/ids does not match its checksum"):
        verify_store(store, make_images(make_ids(N)))


def set_value(name: str, index: int | tuple[int, ...], value: object) -> Callable:
    def change(file: h5py.File) -> None:
        file[name][index] = value

    return change


def remove(name: str) -> Callable:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def cut_status(file: h5py.File) -> None:
    status = file["status"][:-1]
    del file["status"]
    file["status"] = status


def rename(old: str, new: str) -> Callable:
    def change(file: h5py.File) -> None:
        file.move(old, new)

    return change


def unlabel(file: h5py.File) -> None:
    file["rows/boxes"].dims[0].label = ""


# Item 0 has rows 0-1, item 1 (missing) none, item 2 row 2; image 0 is 59 px high and 60 wide.
@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (set_value("offsets", 0, 1), "/offsets: expected non-decreasing values from 0"),
        (set_value("offsets", 1, 9), "/offsets: expected non-decreasing values from 0"),
        (set_value("offsets", N, 99), "/rows/features: expected shape (99, any), got (18, 6)"),
        (set_value("offsets", 1, 0), "item 'a/b/c.jpg': status 0 with 0 rows"),
        (set_value("offsets", 2, 3), "item '..': status 1 with 1 rows"),
        (set_value("status", 0, STATUS["missing"]), "item 'a/b/c.jpg': status 1 with 2 rows"),
        (set_value("status", 1, STATUS["ok"]), "item '..': status 0 with 0 rows"),
        (set_value("status", 1, 77), "/status: expected codes up to 4"),
        (set_value("ids", 1, "."), "/ids are not unique"),
        (set_value("ids", 1, "..."), "ids_sha256 is not that of /ids"),
        (set_value("items/input_sha256", 1, "other"), "ids_sha256 is not that of /ids"),
        (set_value("rows/features", (3, 1), np.nan), "/rows/features is not finite"),
        (set_value("rows/features", (0, 0), np.inf), "/rows/features is not finite"),
        (set_value("rows/boxes", (3, 1), np.nan), "/rows/boxes is not finite"),
        (set_value("rows/boxes", (0, 2), -1), "/rows/boxes[0] has x2 < x1"),
        (set_value("rows/boxes", 0, (61, 0, 70, 9)), "/rows/boxes[0] lies outside its image"),
        (set_value("rows/boxes", 0, (0, 60, 9, 70)), "/rows/boxes[0] lies outside its image"),
        (set_value("rows/boxes", 0, (-9, 0, -1, 9)), "/rows/boxes[0] lies outside its image"),
        (set_value("rows/labels", 2, 3), "/rows/labels holds an index outside /vocab/labels"),
        (set_value("rows/labels", 2, -1), "/rows/labels holds an index outside /vocab/labels"),
        (set_value("items/image_size", 4, (1, 1)), "item '0015': image_size is not"),
        (remove("offsets"), "/offsets: expected to be there"),
        (remove("items/reason"), "/items/reason: expected to be there"),
        (remove("vocab/labels"), "/vocab/labels: expected to be there for /rows/labels"),
        (rename("rows/boxes", "rows/bnxes"), "/rows/bnxes: expected the format's datasets alone"),
        (set_value("provenance", (), '{"a": '), "cannot be read whole"),
        (cut_status, "/status: expected shape (12), got (11,)"),
        (unlabel, "/rows/boxes has no dimension labels"),
    ],
)
def test_wrong_values_are_found_even_with_right_checksums(
    store: Path, change: Callable[[h5py.File], None], finding: str
) -> None:
    def change_and_sum(file: h5py.File) -> None:
        change(file)
        if "offsets" in file:
            add_checksums(file)

    change_file(store, change_and_sum)
    with pytest.raises(StoreError) as caught:
        verify_store(store, make_images(make_ids(N)))
    assert finding in str(caught.value)


@pytest.mark.parametrize("block_bytes", [16, 64, 2**20])
def test_rows_are_numbered_across_blocks(
    store: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    def spoil(file: h5py.File) -> None:
        for row in (3, 9, 10, 17):
            file["rows/boxes"][row] = (99, 0, 98, 9)
        file["rows/labels"][17] = 3
        add_checksums(file)

    change_file(store, spoil)
    monkeypatch.setattr(checksums, "_BLOCK_BYTES", block_bytes)
    with pytest.raises(StoreError) as caught:
        verify_store(store, make_images(make_ids(N)))
    assert str(caught.value).splitlines()[1:-1] == [
        "  - /rows/labels holds an index outside /vocab/labels",
        *(f"  - /rows/boxes[{row}] has x2 < x1 or y2 < y1" for row in (3, 9, 10)),
        *(f"  - /rows/boxes[{row}] lies outside its image" for row in (3, 9, 10)),
    ]


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(2, boxes=True, labels=("a",), attributes=("b",))
    ids = make_ids(4)
    monkeypatch.setattr(checksums, "_BLOCK_BYTES", 4096)
    peaks = []
    for n_rows in (10, 4000):
        words = np.full((n_rows, 16), -1, np.int32)
        item = ItemFeatures(
            features=np.ones((n_rows, 2)),
            boxes=np.ones((n_rows, 4)),
            labels=np.zeros(n_rows, np.int32),
            attributes=words,
            attribute_scores=np.full(words.shape, np.nan),
        )
        shard = write_shard(tmp_path / "s.h5", make_header(ids, outputs), [item] * len(ids))
        merge_shards([shard], tmp_path / "m.h5")
        tracemalloc.start()
        verify_store(tmp_path / "m.h5", make_images(ids))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The boxes alone take 256,000 bytes.
    assert peaks[1] < peaks[0] + 50_000


def test_the_ids_are_those_of_the_manifest(store: Path) -> None:
    ids = list(make_ids(N))
    for others, finding in [
        ([*ids[:-1], "new"], "1 missing ['new'], 1 surplus ['image_1']"),
        (ids[::-1], "another order"),
        (ids[:-1], "0 missing [], 1 surplus"),
    ]:
        with pytest.raises(StoreError) as caught:
            verify_store(store, make_images(others))
        assert finding in str(caught.value)


def test_a_shard_is_no_merged_file(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "s.h5", make_header(make_ids(1)), [make_item(0)])
    with pytest.raises(StoreError, match=r"no counts per status \(is this a shard\?\)"):
        verify_store(shard)


def test_the_command_reports_and_lists_stale_partials(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.parent.parent
    write_images(folder / "images.tsv", make_images(make_ids(N)))
    for name in ("full.3-of-9.h5.partial", "fuller.1-of-2.h5.partial", "full.1-of-2.h5"):
        (folder / "shards" / name).mkdir(parents=True)
    images, out = str(folder / "images.tsv"), folder / "qc/full.json"
    assert main(["verify", str(store), "--images", images, "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["file"] == "full.h5"
    # Only what is left of this feature set's own shards.
    assert report["stale_partials"] == ["full.3-of-9.h5.partial"]
    assert main(["verify", str(store)]) == 0
    assert json.loads(capsys.readouterr().out) == report


def test_the_command_fails_with_the_findings(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(store) as file:
        place = file["rows/features"].id.get_offset()
    flip(store, place)
    assert main(["verify", str(store), "--out", str(store.with_suffix(".json"))]) == 2
    message = capsys.readouterr().err
    assert "full.h5: 1 finding(s)" in message
    assert "/rows/features does not match its checksum" in message
    assert "Traceback" not in message
    assert not store.with_suffix(".json").exists()
