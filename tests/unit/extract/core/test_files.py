"""A file is the old one or the new one, never a part of either."""

import errno
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from extract.core import files
from extract.core.files import atomic_path, machine_tag, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep/er/x.txt"
    with atomic_path(target) as tmp:
        assert tmp.parent == target.parent
        tmp.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["x.txt"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    for error in (RuntimeError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), atomic_path(target) as tmp:
            tmp.write_text("half")
            raise error
        assert target.read_text() == "old"
        assert names(tmp_path) == ["x.txt"]


def test_a_failure_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x.txt"):
        raise RuntimeError
    assert names(tmp_path) == []
    # Writing nothing is a mistake, not an empty file.
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.txt"):
        pass
    assert names(tmp_path) == []


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    child = os.fork()
    if child == 0:
        with atomic_path(target) as tmp:
            tmp.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert target.read_text() == "old"
    write_text(target, "new")
    assert target.read_text() == "new"


def test_what_was_written_is_on_the_disk_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=original: (calls.append(n), f(*a))[1])
    write_text(tmp_path / "x.txt", "new")
    assert calls == ["fsync", "replace"]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    target, contents = tmp_path / "x.txt", [letter * 200_000 for letter in "ab"]
    write_text(target, contents[0])
    is_over = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not is_over.is_set():
            seen.add(target.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(30):
        write_text(target, contents[i % 2])
    is_over.set()
    reader.join()
    assert seen <= set(contents)


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "1.json", {"b": [1, None], "a": {"é": 1.5, "c": "x"}})
    write_json(tmp_path / "2.json", {"a": {"c": "x", "é": 1.5}, "b": [1, None]})
    data = (tmp_path / "1.json").read_bytes()
    assert data == (tmp_path / "2.json").read_bytes()
    assert "é".encode() in data
    assert data.endswith(b"}\n")
    assert json.loads(data) == {"a": {"c": "x", "é": 1.5}, "b": [1, None]}


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert (tmp_path / "x.json").read_text() == "1\n"
    assert names(tmp_path) == ["x.json"]


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    here, elsewhere, dead = machine_tag(), "0" * 8, dead_pid()
    stale = [f".x.json.{here}.{pid}.tmp" for pid in (dead, 2**40)]
    # Of another file, of a process that lives, and of another machine's.
    others = [
        f".y.json.{here}.{dead}.tmp",
        f".x.json.{here}.{os.getppid()}.tmp",
        f".x.json.{elsewhere}.{dead}.tmp",
    ]
    for name in (*stale, *others):
        (tmp_path / name).write_text("half")
    write_json(tmp_path / "x.json", 1)
    assert names(tmp_path) == sorted([*others, "x.json"])


def test_a_folder_of_its_own_takes_all_with_it_that_a_library_left(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    for is_killed in (False, True):
        child = os.fork()
        if child == 0:
            with atomic_path(target, in_folder=True) as path:
                (path.parent / ".tmpA1b2C3").write_text("half")
                path.write_text("new")
                if is_killed:
                    os._exit(0)
            os._exit(0)
        os.waitpid(child, 0)
        assert target.read_text() == "new"
        assert len(names(tmp_path)) == 1 + is_killed
    with atomic_path(target, in_folder=True) as path:
        path.write_text("last")
    assert (names(tmp_path), target.read_text()) == (["x.bin"], "last")
    with pytest.raises(ValueError, match="broken off"), atomic_path(target, in_folder=True) as path:
        path.write_text("half")
        raise ValueError("broken off")
    assert (names(tmp_path), target.read_text()) == (["x.bin"], "last")


def test_two_machines_write_two_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of two containers often have one number."""
    with atomic_path(tmp_path / "x.txt") as first:
        first.write_text("first")
        monkeypatch.setattr(files, "machine_tag", lambda: "0" * 8)
        with atomic_path(tmp_path / "x.txt") as second:
            second.write_text("second")
        assert first.read_text() == "first"
    assert (tmp_path / "x.txt").read_text() == "first"
    assert names(tmp_path) == ["x.txt"]


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    original = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (calls.append(path), original(path))[1])
    for number in range(5):
        write_text(tmp_path / f"{number}.txt", "x")
    assert calls == [tmp_path]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    with pytest.raises(OSError, match="No space") as caught, atomic_path(target) as tmp:
        tmp.write_text("half")
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(target)
    assert names(tmp_path) == []


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    target, source = tmp_path / "x.txt", tmp_path / "source"
    with pytest.raises(OSError, match="Permission") as caught, atomic_path(target):
        raise PermissionError(errno.EACCES, "Permission denied", str(source))
    assert caught.value.filename == str(source)
    with pytest.raises(OSError, match="Permission") as caught, atomic_path(target) as tmp:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp))
    assert caught.value.filename == str(target)
