"""Whatever is killed at whatever moment continues, and ends with the same bytes.

First the writer of shards, killed before each of its operations; then real processes: every
extractor and grounder, the phrases and the crops.
"""

import errno
import json
import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from extract.__main__ import main
from extract.store import FeatureStore, FeatureWriter, Header, merge_shards
from extract.store.checksums import checked_datasets
from extract.tables.rows import Outputs
from tests.builders.extract.feature_files import (
    FULL,
    assert_holds,
    make_header,
    make_ids,
    make_item,
    read_all,
    write_shard,
)
from tests.builders.extract.killing import kill_on_the_way
from tests.builders.extract.tiny_plugins import CASES, Workbench, assert_every_plugin_has_a_case

N, BATCH = 8, 3

# Everything that changes a file; a kill may fall between any two of them.
OPERATIONS = (
    (h5py.Group, "create_dataset"),
    (h5py.Dataset, "__setitem__"),
    (h5py.AttributeManager, "__setitem__"),
    (h5py.File, "close"),
    (os, "fsync"),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (Path, "unlink"),
    (Path, "mkdir"),
)


@contextmanager
def before_each_operation(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before each operation on the file."""
    originals = [(owner, name, getattr(owner, name)) for owner, name in OPERATIONS]

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            act()
            return original(*args, **kwargs)

        return wrapped

    try:
        for owner, name, original in originals:
            setattr(owner, name, wrap(original))
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def header() -> Header:
    return make_header(make_ids(N))


def run(folder: Path, on_append: Callable[[int], None] = lambda n_done: None) -> FeatureWriter:
    """Write the shard, from wherever it was stopped."""
    writer = FeatureWriter(folder / "s.h5.partial", header())
    for start in range(writer.n_done, N, BATCH):
        writer.append([make_item(i) for i in range(start, min(start + BATCH, N))])
        on_append(writer.n_done)
    writer.finish(folder / "s.h5", {"spec": "x"})
    return writer


def run_and_die(folder: Path, operation: int) -> int:
    """Run in a child that kills itself before its n-th operation; return what it had appended."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        left = operation

        def count() -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        with before_each_operation(count):
            run(folder, lambda n_done: os.write(write_end, bytes([n_done])))
        os._exit(0)
    os.close(write_end)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        appended = pipe.read()
    assert os.WIFSIGNALED(status), f"operation {operation} was never reached"
    return appended[-1] if appended else 0


def count_operations(folder: Path) -> int:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    with before_each_operation(count):
        run(folder)
    return calls


def test_a_kill_loses_at_most_a_batch(tmp_path: Path) -> None:
    """Kill points all over a run, then a second run: the rows equal an uninterrupted run's."""
    whole = tmp_path / "whole"
    whole.mkdir()
    n_operations = count_operations(whole)
    expected = read_all(whole / "s.h5")
    # Each of the 3 appends creates 11 datasets or more, and finishing as many.
    assert n_operations > 4 * 11
    # An append has more than 11 operations, and seven is no divisor of it: all kinds have a turn.
    continued, kills = 0, range(0, n_operations, 7)
    for operation in kills:
        folder = tmp_path / str(operation)
        folder.mkdir()
        appended = run_and_die(folder, operation)
        if (folder / "s.h5").exists():
            # Killed while the parts were removed.
            assert read_all(folder / "s.h5") == expected, f"operation {operation}"
        else:
            resumed = FeatureWriter(folder / "s.h5.partial", header())
            assert resumed.note == "", f"operation {operation}"
            assert resumed.n_done in (appended, min(appended + BATCH, N)), f"operation {operation}"
            continued += resumed.n_done > 0
        run(folder)
        assert read_all(folder / "s.h5") == expected, f"operation {operation}"
        assert [path.name for path in folder.iterdir()] == ["s.h5"], f"operation {operation}"
    assert continued > len(kills) / 2


def test_a_run_may_be_killed_again_and_again(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    done, per_append = 0, count_operations(whole) // 5
    while not (tmp_path / "s.h5").exists():
        # Each run gets a little further than one append.
        appended = run_and_die(tmp_path, 2 * per_append - 1) if done < N - BATCH else 0
        if not appended:
            run(tmp_path)
        else:
            assert appended > done
            done = appended
    assert done > BATCH
    assert read_all(tmp_path / "s.h5") == read_all(whole / "s.h5")


def test_a_resumed_shard_merges_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run(tmp_path / "whole")
    assert run_and_die(tmp_path / "killed", 90) > 0
    run(tmp_path / "killed")
    for name in ("whole", "killed"):
        merge_shards([tmp_path / name / "s.h5"], tmp_path / name / "m.h5", ids=make_ids(N))
    assert (tmp_path / "whole/m.h5").read_bytes() == (tmp_path / "killed/m.h5").read_bytes()


def partial_of(folder: Path, of: Header) -> Path:
    """A partial shard with five items done, in parts of two, two and one."""
    path = folder / "s.h5.partial"
    writer = FeatureWriter(path, of)
    for items in ((0, 1), (2, 3), (4,)):
        writer.append([make_item(i, of.outputs) for i in items])
    return path


def test_a_partial_of_the_same_header_is_continued(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    writer = FeatureWriter(path, header())
    assert (writer.n_done, writer.note) == (5, "")
    writer.append([make_item(i) for i in range(5, N)])
    writer.finish(tmp_path / "s.h5", {})
    with FeatureStore(tmp_path / "s.h5") as store:
        for i, (_, item) in enumerate(store.items()):
            assert_holds(item, make_item(i))


def test_there_is_no_note_without_a_partial(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path / "s.h5.partial", header())
    assert (writer.n_done, writer.note) == (0, "")


FEWER = Outputs(**{**vars(FULL), "scores": False})


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (make_header(make_ids(N), fingerprint="0" * 64), "another fingerprint"),
        (make_header(make_ids(N)[::-1]), "another ids_sha256"),
        (make_header(("other", *make_ids(N)[1:])), "another ids_sha256"),
        (make_header(make_ids(N), FEWER), "other columns"),
    ],
    ids=["fingerprint", "other order", "first id", "columns"],
)
def test_a_partial_of_something_else_starts_again(tmp_path: Path, other: Header, note: str) -> None:
    path = partial_of(tmp_path, other)
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert note in writer.note
    writer.append([make_item(i) for i in range(N)])
    writer.finish(tmp_path / "s.h5", {})
    with FeatureStore(tmp_path / "s.h5") as store:
        for i, (_, item) in enumerate(store.items()):
            assert_holds(item, make_item(i))


@pytest.mark.parametrize(
    ("changed", "kept"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (5, 5), (7, 5)]
)
def test_parts_before_a_changed_item_are_kept(tmp_path: Path, changed: int, kept: int) -> None:
    partial_of(tmp_path, header())
    ids = list(make_ids(N))
    ids[changed] = "changed"
    writer = FeatureWriter(tmp_path / "s.h5.partial", make_header(ids))
    assert writer.n_done == kept


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"\x89HDF\r\n\x1a\n" + b"\0" * 999])
@pytest.mark.parametrize(("part", "kept"), [(0, 0), (1, 2), (2, 4)])
def test_garbage_costs_its_part_and_those_after(
    tmp_path: Path, content: bytes, part: int, kept: int
) -> None:
    path = partial_of(tmp_path, header())
    sorted(path.iterdir())[part].write_bytes(content)
    writer = FeatureWriter(path, header())
    assert writer.n_done == kept
    assert "is damaged" in writer.note
    assert len(list(path.iterdir())) == part
    writer.append([make_item(i) for i in range(kept, N)])
    writer.finish(tmp_path / "s.h5", {})
    with FeatureStore(tmp_path / "s.h5") as store:
        for i, (_, item) in enumerate(store.items()):
            assert_holds(item, make_item(i))


def test_a_truncated_part_is_made_again(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    last = max(path.iterdir())
    whole = last.read_bytes()
    for size in range(0, len(whole), len(whole) // 7):
        last.write_bytes(whole[:size])
        writer = FeatureWriter(path, header())
        assert writer.n_done == 4
        assert "is damaged" in writer.note


def test_a_flipped_bit_of_a_part_is_noticed(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    part = sorted(path.iterdir())[1]
    with h5py.File(part) as file:
        place = file["rows/features"].id.get_offset()
    data = bytearray(part.read_bytes())
    data[place] ^= 1
    part.write_bytes(data)
    writer = FeatureWriter(path, header())
    assert writer.n_done == 2
    assert "is damaged" in writer.note


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("step", ["opening.check_seal", "writer.changed_datasets"])
def test_parts_that_could_not_be_read_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    path = partial_of(tmp_path, header())
    parts = {part: part.read_bytes() for part in path.iterdir()}

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(f"extract.store.{step}", refuse)
        with pytest.raises(OSError, match=re.escape(str(min(parts)))) as caught:
            FeatureWriter(path, header())
    assert caught.value.errno == number
    assert {part: part.read_bytes() for part in path.iterdir()} == parts
    assert FeatureWriter(path, header()).n_done == 5


def test_parts_of_the_first_version_are_made_again(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    with h5py.File(min(path.iterdir()), "r+") as file:
        file.attrs["format_version"] = "1.0"
        for dataset in checked_datasets(file):
            del dataset.attrs["sha256"]
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert "was made by an earlier version" in writer.note
    assert "damaged" not in writer.note


def test_a_shard_is_kept_before_its_parts_go(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    writer = FeatureWriter(path, header())
    writer.append([make_item(i) for i in range(5, N)])
    seen = []

    def keep(out: Path) -> None:
        seen.append((read_all(out)["ids"], len(list(path.glob("0*.h5")))))

    writer.finish(tmp_path / "s.h5", {}, keep=keep)
    assert [n_parts for _, n_parts in seen] == [4]
    assert not path.exists()


def test_a_lost_part_costs_those_after(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    sorted(path.iterdir())[1].unlink()
    writer = FeatureWriter(path, header())
    assert writer.n_done == 2
    assert "another ids_sha256" in writer.note


def test_a_part_that_lost_a_dataset_is_damaged(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    with h5py.File(min(path.iterdir()), "r+") as file:
        del file["rows"]
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert "is damaged" in writer.note


def test_a_file_in_the_place_of_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "s.h5.partial").write_bytes(b"something")
    assert FeatureWriter(tmp_path / "s.h5.partial", header()).note
    run(tmp_path)
    assert len(FeatureStore(tmp_path / "s.h5")) == N


def test_a_finished_shard_leaves_no_partial(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s.h5", header(), [make_item(i) for i in range(N)])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


N_IMAGES, IMAGES_A_BATCH = 24, 2


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Tiny pictures of several sizes, two annotated boxes in most, one file broken, one absent."""
    rng = np.random.default_rng(11)
    ids = [f"p{number}" for number in range(N_IMAGES)]
    bench = Workbench(tmp_path_factory.mktemp("killed"), ids)
    bench.images.mkdir()
    boxes = {}
    for number, image_id in enumerate(ids):
        width, height = 36 + number % 3, 34 + number % 2
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        picture = blocks.resize((width, height), Image.Resampling.BICUBIC)
        picture.save(bench.images / f"{image_id}.png")
        if number % 5:
            boxes[image_id] = [[0, 0, 20, 30], [number, 3, number + 9, 20]]
    (bench.images / "p6.png").write_bytes(b"no picture")
    (bench.images / "p13.png").unlink()
    bench.prepare(boxes)
    return bench


def test_every_plugin_is_killed() -> None:
    assert_every_plugin_has_a_case()


@pytest.mark.parametrize("name", CASES)
def test_a_killed_extraction_continues_to_the_same_bytes(
    bench: Workbench, name: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO")
    whole = bench.store(name, batch_size=IMAGES_A_BATCH)
    whole = whole.rename(tmp_path / "whole.h5")
    shard = bench.folder / "shards" / f"{name}.h5"
    expected = read_all(shard)
    shard.unlink()
    command = bench.arguments(name, shard, batch_size=IMAGES_A_BATCH)
    partial = shard.with_name(shard.name + ".partial")
    n_wanted = random.Random(name).randint(1, 4)
    kill_on_the_way(
        command,
        is_under_way=lambda: len(list(partial.glob("0*.h5"))) >= n_wanted,
        leaves=shard,
        seed=name,
    )
    n_done = IMAGES_A_BATCH * len(list(partial.glob("0*.h5")))
    assert n_wanted * IMAGES_A_BATCH <= n_done
    assert not shard.exists()
    caplog.clear()
    bench.run(*command)
    assert json.loads(caplog.messages[-1])["computed"] == N_IMAGES - n_done
    assert not partial.exists()
    assert {"ids", "status", "offsets"} < set(expected)
    assert read_all(shard) == expected
    assert bench.merge(name, shard).read_bytes() == whole.read_bytes()


def test_killed_phrases_leave_no_file(tmp_path: Path) -> None:
    samples, out = tmp_path / "samples.jsonl", tmp_path / "killed/phrases.jsonl"
    # So many that the kill falls into the writing.
    lines = (json.dumps({"id": f"s{i}", "image_id": "i", "tokens": ["a"]}) for i in range(30_000))
    samples.write_text("\n".join(lines) + "\n")
    command = ["phrases", "--backend", "type_words", "--samples", samples, "--out", out]
    whole = tmp_path / "whole.jsonl"
    assert main([*map(str, command[:-1]), str(whole)]) == 0
    kill_on_the_way(
        command,
        is_under_way=lambda: any(path.stat().st_size for path in out.parent.glob(".*.tmp")),
        leaves=out,
        seed="phrases",
    )
    assert not out.exists()
    assert main([str(word) for word in command]) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_killed_crops_are_not_taken_for_complete(bench: Workbench, tmp_path: Path) -> None:
    store = bench.folder / "features/annotations.h5"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = ["crops", "--store", store, "--images", bench.manifest, "--out"]
    bench.run(*command, whole)
    expected = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert len(expected) > N_IMAGES
    kill_on_the_way(
        [*command, killed],
        is_under_way=lambda: len(list(killed.glob("*.png"))) >= 3,
        leaves=killed,
        seed="crops",
    )
    assert not (killed / "crops.jsonl").exists()
    assert len(list(killed.glob("*.png"))) < len(expected) - 1
    bench.run(*command, killed)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == expected
