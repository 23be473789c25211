"""One process at a time on a result; a killed one leaves no trap."""

import errno
import logging
import os
import signal
from pathlib import Path

import pytest

from extract.core import files
from extract.core.errors import BusyError
from extract.core.files import lock_file, machine_tag, only_process


def hold_until_killed(result: Path) -> int:
    """Return the number of a child that holds the lock of a result."""
    ready, begin = os.pipe()
    child = os.fork()
    if child == 0:
        with only_process(result):
            os.write(begin, b"1")
            signal.pause()
    os.read(ready, 1)
    return child


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    result = tmp_path / "x.h5"
    child = hold_until_killed(result)
    try:
        with pytest.raises(BusyError, match=rf"x\.h5: another process \(pid {child} on this"):
            only_process(result).__enter__()
        with only_process(tmp_path / "y.h5"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    # The file is still there, the lock is not.
    assert lock_file(result).is_file()
    with only_process(result):
        assert lock_file(result).read_text() == f"pid {os.getpid()} {machine_tag()}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        ("pid 7 00000000\n", "pid 7 on another machine"),
        ("pid 7\n", "pid unknown"),
        ("", "pid unknown"),
    ],
)
def test_a_holder_elsewhere_is_not_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, holder: str
) -> None:
    def is_held(self: object) -> None:
        raise files.Timeout("x")

    monkeypatch.setattr(files.FileLock, "acquire", is_held)
    lock_file(tmp_path / "x").write_text(text)
    with pytest.raises(BusyError, match=rf"another process \({holder}\)"):
        only_process(tmp_path / "x").__enter__()


def test_an_error_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_process(tmp_path / "x"):
        raise ZeroDivisionError
    with only_process(tmp_path / "x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_locks_it_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    caplog.set_level(logging.WARNING)
    with only_process(tmp_path / "x"):
        pass
    assert "no locks here" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "x")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, only_process(tmp_path / "x"):
        pass
    assert caught.value.filename == str(tmp_path / ".x.lock")
