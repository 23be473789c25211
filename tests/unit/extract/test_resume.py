"""A shard survives SIGKILL at any moment: what was flushed stays, the end result is the same."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest

from extract.extractors.base import Outputs
from extract.store import FeatureStore, FeatureWriter, Header, merge_shards
from extract.store import writer as writer_module
from tests.unit.extract.feature_files import (
    FULL,
    assert_holds,
    make_header,
    make_ids,
    make_item,
    read_all,
    write_shard,
)

N, BATCH = 11, 3

# Everything that changes the file; a kill may fall between any two of them.
OPERATIONS = (
    (h5py.Group, "create_dataset"),
    (h5py.Dataset, "resize"),
    (h5py.Dataset, "__setitem__"),
    (h5py.AttributeManager, "__setitem__"),
    (h5py.File, "flush"),
    (h5py.File, "close"),
    (writer_module, "_sync"),
    (os, "replace"),
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


def test_a_kill_before_any_operation_loses_at_most_a_batch(tmp_path: Path) -> None:
    """Every kill point of a whole run, then a second run: the rows equal an uninterrupted run's."""
    whole = tmp_path / "whole"
    whole.mkdir()
    n_operations = count_operations(whole)
    expected = read_all(whole / "s.h5")
    # An append of 5 columns is 5 x (resize, write), 3 index writes, 2 flushes and n_done.
    assert n_operations > 4 * 15
    continued = 0
    for operation in range(n_operations):
        folder = tmp_path / str(operation)
        folder.mkdir()
        appended = run_and_die(folder, operation)
        assert not (folder / "s.h5").exists(), f"operation {operation}: finished too early"
        resumed = FeatureWriter(folder / "s.h5.partial", header())
        assert resumed.n_done in (appended, min(appended + BATCH, N)), f"operation {operation}"
        assert bool(resumed.note) <= (appended == 0), f"operation {operation}: {resumed.note}"
        continued += resumed.n_done > 0
        resumed.close()
        run(folder)
        assert read_all(folder / "s.h5") == expected, f"operation {operation}"
    assert continued > n_operations / 2


def test_a_run_may_be_killed_again_and_again(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run(whole)
    done = 0
    while not (tmp_path / "s.h5").exists():
        # Each run gets a little further than one append.
        appended = run_and_die(tmp_path, 22) if done < N - BATCH else 0
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
    assert run_and_die(tmp_path / "killed", 50) > 0
    run(tmp_path / "killed")
    for name in ("whole", "killed"):
        merge_shards([tmp_path / name / "s.h5"], tmp_path / name / "m.h5", ids=make_ids(N))
    assert (tmp_path / "whole/m.h5").read_bytes() == (tmp_path / "killed/m.h5").read_bytes()


def partial_of(folder: Path, of: Header) -> Path:
    """A partial file with two items done."""
    path = folder / "s.h5.partial"
    writer = FeatureWriter(path, of)
    writer.append([make_item(i, of.outputs) for i in range(2)])
    writer.close()
    return path


def test_a_partial_of_the_same_header_is_continued(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    writer = FeatureWriter(path, header())
    assert (writer.n_done, writer.note) == (2, "")
    writer.close()


def test_there_is_no_note_without_a_partial(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path / "s.h5.partial", header())
    assert (writer.n_done, writer.note) == (0, "")
    writer.close()


FEWER = Outputs(**{**vars(FULL), "scores": False})


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (make_header(make_ids(N), fingerprint="0" * 64), "another fingerprint"),
        (make_header(make_ids(N - 1)), "another ids_sha256"),
        (make_header(make_ids(N)[::-1]), "another ids_sha256"),
        (make_header(make_ids(N), FEWER), "other columns"),
    ],
    ids=["fingerprint", "fewer ids", "other order", "columns"],
)
def test_a_partial_of_something_else_starts_again(
    tmp_path: Path, other: Header, note: str
) -> None:
    path = partial_of(tmp_path, other)
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert note in writer.note
    writer.append([make_item(i) for i in range(N)])
    writer.finish(tmp_path / "s.h5", {})
    with FeatureStore(tmp_path / "s.h5") as store:
        for i, (_, item) in enumerate(store.items()):
            assert_holds(item, make_item(i))


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"\x89HDF\r\n\x1a\n" + b"\0" * 999])
def test_garbage_starts_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.h5.partial"
    path.write_bytes(content)
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert "cannot be opened" in writer.note
    writer.close()
    run(tmp_path)
    assert len(FeatureStore(tmp_path / "s.h5")) == N


def test_a_truncated_partial_starts_again(tmp_path: Path) -> None:
    whole = partial_of(tmp_path, header()).read_bytes()
    for size in range(0, len(whole), len(whole) // 7):
        (tmp_path / "s.h5.partial").write_bytes(whole[:size])
        writer = FeatureWriter(tmp_path / "s.h5.partial", header())
        assert writer.n_done == 0
        assert writer.note
        writer.close()


def test_a_partial_that_lost_a_dataset_starts_again(tmp_path: Path) -> None:
    path = partial_of(tmp_path, header())
    with h5py.File(path, "r+") as file:
        del file["offsets"]
    writer = FeatureWriter(path, header())
    assert writer.n_done == 0
    assert "is damaged" in writer.note
    writer.close()


def test_a_finished_shard_leaves_no_partial(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s.h5", header(), [make_item(i) for i in range(N)])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
