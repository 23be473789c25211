"""Bytes that move to the disk once they are many, and are read from there by several processes."""

import errno
import multiprocessing
import os
import pickle
import random
import tracemalloc
from pathlib import Path

import pytest

from extract.core.system import NamedSystemError
from extract.tables import bytes_on_disk
from extract.tables.bytes_on_disk import FileBytes, GrowingBytes
from extract.tables.lazy_table import LazyTable, pack_texts


def filled(pieces: list[bytes], limit: int) -> bytearray | FileBytes:
    made = GrowingBytes(limit)
    for piece in pieces:
        made.add(piece)
    return made.bytes()


@pytest.mark.parametrize("limit", [0, 1, 7, 64, 10**6])
def test_any_piece_is_what_was_added(limit: int) -> None:
    rng = random.Random(limit)
    pieces = [rng.randbytes(rng.randrange(20)) for _ in range(50)]
    whole = b"".join(pieces)
    data = filled(pieces, limit)
    assert isinstance(data, FileBytes) == (len(whole) > limit)
    for _ in range(100):
        first = rng.randrange(len(whole) + 1)
        last = rng.randrange(first, len(whole) + 1)
        assert data[first:last] == whole[first:last]
    assert pickle.loads(pickle.dumps(data)) == whole


def test_what_the_system_reads_in_pieces_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux reads at most 2 GiB at a time."""
    data, pread = filled([b"0123456789"], limit=0), os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 3), at))
    assert data[1:9] == b"12345678"
    assert pickle.loads(pickle.dumps(data)) == b"0123456789"


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    data = FileBytes(path.open("rb"))
    os.truncate(path, 4)
    assert data[2:4] == b"23"
    with pytest.raises(NamedSystemError, match="ends after 4 bytes, expected at least 9") as caught:
        _ = data[2:9]
    assert caught.value.filename == str(path)


def test_few_bytes_make_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bytes_on_disk.tempfile, "TemporaryFile", lambda: pytest.fail("a file was made")
    )
    assert filled([b"ab", b"", b"c"], limit=3) == b"abc"


def test_many_texts_take_the_memory_of_their_bounds(tmp_path: Path) -> None:
    n = 30_000
    tracemalloc.start()
    texts = pack_texts(f"{i:0100d}" for i in range(n))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 10 * n < 100 * n
    assert texts[n - 1] == f"{n - 1:0100d}"


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytes_on_disk.tempfile, "tempdir", str(tmp_path))
    data = filled([b"abc"], limit=0)
    assert isinstance(data, FileBytes) and list(tmp_path.iterdir()) == []
    assert data[1:3] == b"bc"


def _sum(table: LazyTable[str], start: int) -> int:
    return sum(int(table[i % len(table)]) for i in range(start, start + len(table)))


def test_forks_read_at_the_same_time() -> None:
    n = 3000
    table = pack_texts(f"{i:0400d}" for i in range(n))
    assert isinstance(table._data, FileBytes)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        jobs = [pool.apply_async(_sum, (table, start)) for start in range(0, n, n // 6)]
        # What is sent to a process is a copy; what a fork has is the parent's open file.
        assert {job.get() for job in jobs} == {n * (n - 1) // 2}
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    forks = [
        context.Process(target=lambda start=start: found.put(_sum(table, start)))
        for start in (0, n // 3, n // 2)
    ]
    for fork in forks:
        fork.start()
    assert {found.get() for _ in forks} == {n * (n - 1) // 2}
    for fork in forks:
        fork.join()


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bytes_on_disk.tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(bytes_on_disk.tempfile, "tempdir", "/the/folder")
    with pytest.raises(NamedSystemError, match="/the/folder"):
        filled([b"ab"], limit=1)


@pytest.mark.parametrize("is_known", [True, False])
def test_without_a_folder_for_temporary_files_tmpdir_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    absent = str(tmp_path / "absent")
    # Python looks for a folder once; it may be gone later.
    monkeypatch.setattr(bytes_on_disk.tempfile, "tempdir", absent if is_known else None)
    monkeypatch.setattr(bytes_on_disk.tempfile, "_candidate_tempdir_list", lambda: [absent])
    with pytest.raises(NamedSystemError, match="set it to a folder") as caught:
        filled([b"ab"], limit=1)
    assert caught.value.filename == "TMPDIR"
