"""Rows that were computed before: found by content, wherever they stand, and never when damaged."""

import ast
import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.core.errors import BusyError, StoreError
from extract.core.files import lock_file, only_process
from extract.core.system import NamedSystemError
from extract.extractors import random
from extract.features import engine, reuse
from extract.features.engine import Inputs, Runtime, run_extraction
from extract.features.spec import FeatureSpec
from extract.images.decode import probe_image
from extract.store import FeatureStore, FeatureWriter, Header, merge_shards, opening
from extract.store import format as store_format
from extract.store.format import open_file
from extract.tables import bytes_on_disk, lazy_table
from extract.tables.bytes_on_disk import GrowingBytes
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Item, ItemFeatures, Outputs, nothing_found

BATCH = 2
N = 12


@dataclass
class Bench:
    """Images, and the shards and merged files made from them."""

    folder: Path
    caplog: pytest.LogCaptureFixture
    options: dict

    @property
    def spec(self) -> FeatureSpec:
        return FeatureSpec("noise", "random", random.VERSION, self.options, {}, {})

    def row(self, image_id: str, seed: int) -> ImageRow:
        """Return the line of an image whose pixels are drawn from a seed."""
        path = self.folder / f"{seed}.png"
        pixels = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        probe = probe_image(path)
        return ImageRow(image_id, str(path), probe.sha256, probe.height, probe.width, "ok")

    def rows(self, count: int = N) -> list[ImageRow]:
        return [self.row(f"photo{i}", i) for i in range(count)]

    def shard(
        self, rows: Sequence[ImageRow], shard: str = "1-of-1", *, reused: Path | None = None
    ) -> tuple[int, int]:
        """Compute one shard; return how many items were (computed, copied)."""
        self.caplog.clear()
        out, runtime = self.path(shard), Runtime(batch_size=BATCH)
        run_extraction(self.spec, rows, out, Inputs(), shard=shard, runtime=runtime, reuse=reused)
        summary = json.loads(self.caplog.records[-1].getMessage())
        return summary["computed"], summary["copied"]

    def shards(
        self, rows: Sequence[ImageRow], count: int = 1, *, reused: Path | None = None
    ) -> tuple[int, int]:
        done = [self.shard(rows, f"{k}-of-{count}", reused=reused) for k in range(1, count + 1)]
        return sum(computed for computed, _ in done), sum(copied for _, copied in done)

    def path(self, shard: str) -> Path:
        return self.folder / f"noise.{shard}.h5"

    def merged(self, rows: Sequence[ImageRow], name: str) -> Path:
        """Compute rows where nothing can be reused, and merge them."""
        folder = self.folder / name
        folder.mkdir()
        run_extraction(self.spec, rows, folder / "shard.h5", Inputs())
        merge_shards([folder / "shard.h5"], folder / "merged.h5")
        return folder / "merged.h5"

    def assert_equals_a_fresh_run(self, rows: Sequence[ImageRow], count: int = 1) -> None:
        paths = [self.path(f"{k}-of-{count}") for k in range(1, count + 1)]
        merge_shards(paths, self.folder / "out.h5", ids=[row.image_id for row in rows])
        fresh = self.merged(rows, "fresh")
        assert (self.folder / "out.h5").read_bytes() == fresh.read_bytes()


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level("INFO")
    return Bench(tmp_path, caplog, {"dim": 4})


def stop_after(n_items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the extractor fail once, at the first batch after so many items."""
    original, done = random.Extractor.extract, []

    def extract(self: random.Extractor, batch: Sequence[Item]) -> list[ItemFeatures]:
        if len(done) >= n_items:
            monkeypatch.setattr(random.Extractor, "extract", original)
            raise KeyboardInterrupt
        done.extend(batch)
        return original(self, batch)

    monkeypatch.setattr(random.Extractor, "extract", extract)


# ---- by content ----


def test_renamed_and_moved_images_are_copied(bench: Bench) -> None:
    old = bench.merged(bench.rows(), "old")
    rows = [replace(row, image_id=f"{row.image_id}.new") for row in reversed(bench.rows())]
    assert bench.shards(rows, 3, reused=old) == (0, N)
    bench.assert_equals_a_fresh_run(rows, 3)


def test_one_new_image_among_copies_and_a_second_id_of_a_known_one(bench: Bench) -> None:
    old = bench.merged(bench.rows(), "old")
    rows = [bench.row("new", 99), *bench.rows(), bench.row("twin", 3)]
    assert bench.shards(rows, 2, reused=old) == (1, N + 1)
    bench.assert_equals_a_fresh_run(rows, 2)


def test_values_that_follow_from_the_id_are_not_copied_to_another_id(bench: Bench) -> None:
    bench.options = {"dim": 4, "source": "id"}
    rows = bench.rows()
    old = bench.merged(rows, "old")
    rows[4] = replace(rows[4], image_id="other")
    assert bench.shards(rows, reused=old) == (1, N - 1)
    bench.assert_equals_a_fresh_run(rows)


@pytest.mark.parametrize("folder", ["extractors", "grounding"])
def test_only_extractors_that_ask_for_the_id_read_it(repo_root: Path, folder: str) -> None:
    readers = set()
    for path in sorted((repo_root / "extract" / folder).glob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        if names & {"image_id", "sample_id"}:
            readers.add(path.stem)
    assert readers == ({"random"} if folder == "extractors" else set())


def test_captions_of_a_renamed_image_are_copied(bench: Bench) -> None:
    spec = FeatureSpec("captions", "caption_list", 1, {}, {}, {})
    rows, out = bench.rows(2), bench.folder / "c.h5"
    captions = {"photo0": ("a dog",), "photo1": ("a cat",)}
    run_extraction(spec, rows, bench.folder / "old.h5", Inputs(captions=captions))
    renamed = [replace(rows[1], image_id="x"), rows[0]]
    given = Inputs(captions={"x": ("a cat",), "photo0": ("two dogs",)})
    run_extraction(spec, renamed, out, given, reuse=bench.folder / "old.h5")
    summary = json.loads(bench.caplog.records[-1].getMessage())
    assert (summary["computed"], summary["copied"]) == (1, 1)
    with FeatureStore(out) as store:
        assert [store.item(i).text for i in ("x", "photo0")] == [("a cat",), ("two dogs",)]


def test_a_failed_item_is_tried_again_unless_another_file_has_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = nothing_found("no result within 300 s", Outputs(feature_dim=4))
    failing = replace(lost, status=STATUS["unreadable"])
    monkeypatch.setattr(random.Extractor, "extract", lambda _, batch: [failing for _ in batch])
    old = bench.merged(bench.rows(3), "old")
    monkeypatch.undo()
    bench.shard(bench.rows(1))
    # Kept by the run before: the first; failed: the others.
    assert bench.shard(bench.rows(3), "1-of-2", reused=old) == (1, 1)
    assert bench.shard(bench.rows(3), "2-of-2", reused=old) == (1, 0)


# ---- runs that were not merged ----


def test_a_partial_of_another_shard_count_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = bench.rows()
    stop_after(4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        bench.shard(rows, "2-of-2")
    assert bench.shards(rows, 3) == (N - 4, 4)
    bench.assert_equals_a_fresh_run(rows, 3)


def test_a_partial_whose_images_moved_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(6, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        bench.shard(bench.rows())
    rows = [*bench.rows(3), bench.row("new", 99), *bench.rows()[3:]]
    stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        bench.shard(rows)
    # The second run continued from one part, copied the four others of the first run's six items,
    # and computed two.
    assert bench.shard(rows) == (N + 1 - 6 - 2, 0)
    bench.assert_equals_a_fresh_run(rows)


def test_a_finished_shard_that_snakemake_deleted_is_used(bench: Bench) -> None:
    bench.shards(bench.rows(), 2)
    for k in (1, 2):
        bench.path(f"{k}-of-2").unlink()
    rows = [bench.row("new", 99), *bench.rows()]
    assert bench.shards(rows, 2) == (1, N)
    bench.assert_equals_a_fresh_run(rows, 2)


def test_of_another_spec_nothing_is_used(bench: Bench) -> None:
    bench.shards(bench.rows(), 2)
    bench.options = {"dim": 4, "seed": 1}
    assert bench.shards(bench.rows(), 2) == (N, 0)
    bench.assert_equals_a_fresh_run(bench.rows(), 2)


def test_what_is_merged_is_forgotten_and_what_is_not_stays(bench: Bench) -> None:
    bench.shards(bench.rows(), 2)
    (bench.folder / "noise.1-of-7.h5.partial").mkdir()
    others = [bench.folder / name for name in ("noise_b.1-of-7.h5.partial", "noise_b.kept")]
    for folder in others:
        folder.mkdir()
    assert len(list((bench.folder / "noise.kept").iterdir())) == 2
    reuse.forget_unmerged([bench.path("1-of-2"), bench.path("2-of-2")])
    assert sorted(path for path in bench.folder.iterdir() if path.is_dir()) == others
    assert bench.path("1-of-2").is_file()


def test_what_another_process_builds_is_not_forgotten(bench: Bench) -> None:
    bench.shards(bench.rows(), 2)
    alive, dead = (bench.folder / f"noise.{k}-of-3.h5.partial" for k in (1, 2))
    for folder in (alive, dead):
        folder.mkdir()
        (folder / "00000000.h5").write_bytes(b"a part")
    lock_file(bench.path("2-of-3")).write_text("of a killed process")
    # Another process has another descriptor; so has this one, and flock tells them apart.
    with only_process(bench.path("1-of-3")):
        reuse.forget_unmerged([bench.path("1-of-2"), bench.path("2-of-2")])
        assert sorted(path for path in bench.folder.iterdir() if path.is_dir()) == [alive]
        assert (alive / "00000000.h5").read_bytes() == b"a part"
        with pytest.raises(BusyError):
            only_process(bench.path("1-of-3")).__enter__()
    assert not list(bench.folder.glob(".*.lock"))


def kept(bench: Bench) -> list[str]:
    """The options' seeds of what is kept, the newest last."""
    paths = sorted((bench.folder / "noise.kept").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    return [FeatureStore(path).provenance["spec"]["options"]["seed"] for path in paths]


def test_reruns_that_are_never_merged_do_not_fill_the_disk(bench: Bench) -> None:
    for seed in range(5):
        bench.options = {"dim": 4, "seed": seed}
        for _ in range(2):
            bench.shard(bench.rows())
    assert kept(bench) == [2, 3, 4]
    # Back to the option before: nothing is computed, and the same three stay.
    bench.options = {"dim": 4, "seed": 3}
    assert bench.shard(bench.rows()) == (0, N)
    assert kept(bench) == [2, 4, 3]


def test_other_shards_keep_theirs(bench: Bench) -> None:
    shards = ("1-of-12", "2-of-12", "12-of-12")  # as words the first and the last end alike
    for seed in range(5):
        bench.options = {"dim": 4, "seed": seed}
        for shard in shards:
            bench.shard(bench.rows(), shard)
    assert sorted(kept(bench)) == sorted([2, 3, 4] * len(shards))


def test_a_kept_file_that_is_damaged_goes(bench: Bench) -> None:
    bench.shard(bench.rows())
    first = next((bench.folder / "noise.kept").iterdir())
    bench.path("1-of-1").unlink()
    first.write_bytes(first.read_bytes()[:-1])
    bench.shard(bench.rows())
    assert len(list((bench.folder / "noise.kept").iterdir())) == 1
    assert not first.exists()


def test_without_hard_links_a_shard_is_finished_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(os, "link", refuse)
    assert bench.shards(bench.rows()) == (N, 0)
    assert bench.shards(bench.rows()) == (N, 0)


def test_a_file_that_is_no_shard_keeps_nothing(bench: Bench) -> None:
    for _ in range(2):
        run_extraction(bench.spec, bench.rows(), bench.folder / "noise.h5", Inputs())
        assert json.loads(bench.caplog.records[-1].getMessage())["computed"] == N
    assert not [path for path in bench.folder.iterdir() if path.is_dir()]


# ---- damage ----


def refuse_reading(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch, *, step: str = "check_seal"
) -> None:
    """Make one file one that the system refuses to read."""
    module = {"check_seal": opening, "open_file": store_format}[step]
    original = getattr(module, step)

    def read(given: Path, *args: object) -> object:
        if given == path:
            raise OSError(number, os.strerror(number), str(given))
        return original(given, *args)

    monkeypatch.setattr(module, step, read)


class Sequential:
    """Stands in for a pool of threads."""

    def __init__(self, max_workers: int) -> None:
        self.map = map

    def __enter__(self) -> "Sequential":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_changed_byte_is_not_copied_into_a_new_file(bench: Bench) -> None:
    rows = bench.rows()
    old = bench.merged(rows, "old")
    with open_file(old, "r") as file:
        place = file["rows/features"].id.get_offset()
    with old.open("r+b") as file:
        file.seek(place + 5)
        byte = file.read(1)[0]
        file.seek(place + 5)
        file.write(bytes([byte ^ 1]))
    assert bench.shards(rows, 2, reused=old) == (N, 0)
    assert any("/rows/features" in record.getMessage() for record in bench.caplog.records)
    bench.assert_equals_a_fresh_run(rows, 2)


@pytest.mark.parametrize("step", ["check_seal", "open_file"])
def test_a_file_that_cannot_be_read_is_done_without_and_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = bench.merged(bench.rows(), "old")
    refuse_reading(old, errno.EIO, monkeypatch, step=step)
    assert bench.shards(bench.rows(), reused=old) == (N, 0)
    assert old.is_file()


def test_a_file_that_fails_half_way_is_asked_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bench.merged(bench.rows(), "old")
    calls: list[str] = []

    def item(store: FeatureStore, image_id: str) -> None:
        calls.append(image_id)
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "item", item)
        patch.setattr(engine, "ThreadPoolExecutor", Sequential)
        assert bench.shards(bench.rows(), reused=old) == (N, 0)
    assert len(calls) == 1
    bench.assert_equals_a_fresh_run(bench.rows())


def test_without_file_descriptors_nothing_is_computed_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of work would be repeated for a limit of the process."""
    old = bench.merged(bench.rows(), "old")
    with monkeypatch.context() as patch:
        refuse_reading(old, errno.EMFILE, patch)
        with pytest.raises(OSError, match="Too many open files"):
            bench.shards(bench.rows(), reused=old)
    assert bench.shards(bench.rows(), reused=old) == (0, N)


@pytest.mark.parametrize("problem", ["full", "absent"])
def test_without_temporary_files_nothing_is_computed_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """The ids of a large file are read into one."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    old, absent = bench.merged(bench.rows(), "old"), str(bench.folder / "absent")
    header = header_of(old)
    monkeypatch.setattr(lazy_table, "GrowingBytes", partial(GrowingBytes, limit=0))
    monkeypatch.setattr(bytes_on_disk.tempfile, "tempdir", absent)
    if problem == "full":
        monkeypatch.setattr(bytes_on_disk.tempfile, "TemporaryFile", refuse)
    with pytest.raises(NamedSystemError) as caught:
        reuse.EarlierRows([old], header, bench.rows())
    assert caught.value.filename == (absent if problem == "full" else "TMPDIR")


def header_of(*paths: Path) -> Header:
    """Return a header for the items of feature files of one spec."""
    sums: dict[str, str] = {}
    for path in paths:
        with FeatureStore(path) as store:
            sums |= store.input_sha256()
            fingerprint, outputs = store.fingerprint, store.outputs
    sizes = np.ones((len(sums), 2), np.int32)
    return Header(fingerprint, outputs, tuple(sums), tuple(sums.values()), sizes)


def test_the_rows_of_a_file_that_another_process_replaces_are_computed_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bench.merged(bench.rows(), "old")
    # The same ids with other images.
    other = bench.merged([bench.row(f"photo{i}", 100 + i) for i in range(N)], "other")
    found = reuse.EarlierRows._find

    def find(rows: reuse.EarlierRows, path: Path, wanted: set[str]) -> dict:
        places = found(rows, path, wanted)
        os.replace(other, path)
        return places

    monkeypatch.setattr(reuse.EarlierRows, "_find", find)
    assert bench.shards(bench.rows(), reused=old) == (N, 0)
    monkeypatch.undo()
    bench.assert_equals_a_fresh_run(bench.rows())


def test_a_replaced_file_is_used_while_it_is_open_and_asked_once_then(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, opened = bench.rows(4), []
    first, second = (bench.merged(part, name) for part, name in ((rows[:3], "a"), (rows[3:], "b")))
    other = bench.merged([bench.row(f"photo{i}", 100 + i) for i in range(3)], "other")
    header = header_of(first, second)
    with FeatureStore(first) as store:
        expected = store.item("photo1").features.tolist()
    open_same = reuse._open_same

    def count(path: Path, identity: tuple[int, ...]) -> FeatureStore:
        opened.append(path)
        return open_same(path, identity)

    monkeypatch.setattr(reuse, "_OPEN_STORES", 1)
    monkeypatch.setattr(reuse, "_open_same", count)
    earlier = reuse.EarlierRows([first, second], header, rows)
    sums = header.input_sha256
    assert earlier.get(sums[0]) is not None
    os.replace(other, first)
    assert earlier.get(sums[1]).features.tolist() == expected
    # The second file takes the place of the first among the open ones.
    assert earlier.get(sums[3]) is not None
    assert [earlier.get(checksum) for checksum in sums[:3]] == [None] * 3
    assert opened == [first, second, first]


def test_a_file_that_another_process_removes_is_done_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bench.merged(bench.rows(), "old")
    found = reuse.EarlierRows._find

    def find(rows: reuse.EarlierRows, path: Path, wanted: set[str]) -> dict:
        places = found(rows, path, wanted)
        path.unlink()
        return places

    monkeypatch.setattr(reuse.EarlierRows, "_find", find)
    assert bench.shards(bench.rows(), reused=old) == (N, 0)


def test_a_file_that_goes_away_meanwhile_is_done_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bench.merged(bench.rows(), "old")
    original = FeatureStore.item

    def item(store: FeatureStore, image_id: str) -> object:
        if image_id == "photo5" and store.path == old:
            raise StoreError(f"{old}: no such file")
        return original(store, image_id)

    monkeypatch.setattr(FeatureStore, "item", item)
    assert bench.shards(bench.rows(), reused=old) == (1, N - 1)
    monkeypatch.undo()
    bench.assert_equals_a_fresh_run(bench.rows())


def test_copies_are_written_in_few_parts_and_computed_batches_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = bench.rows()
    old = bench.merged(rows, "old")
    rows[7] = bench.row("new", 99)
    original, sizes = FeatureWriter.append, []

    def append(writer: FeatureWriter, results: Sequence[ItemFeatures]) -> None:
        sizes.append(len(results))
        original(writer, results)

    monkeypatch.setattr(FeatureWriter, "append", append)
    bench.shards(rows, reused=old)
    # Batches are of two: the one of the new image ends a part.
    assert sizes == [8, 4]
    bench.assert_equals_a_fresh_run(rows)
    bench.path("1-of-1").unlink()
    sizes.clear()
    monkeypatch.setattr(engine, "_MAX_COPIED_BYTES", 3 * 4 * 2)
    bench.shards(rows)
    assert sizes == [4, 4, 4]
