"""What the system refuses is recognised in every library's words, and said in one line."""

import errno
from pathlib import Path

import pytest

from extract.system_errors import explain, named_system_errors, system_errno


class SafetensorError(Exception):
    """Derives from Exception alone, as the library's own does."""


HDF5 = (
    "[Errno 28] Can't synchronously write data (file write failed: filename = '/a/x.h5', file "
    "descriptor = 3, errno = 28, error message = 'No space left on device')"
)
CASES = [
    (OSError(errno.EROFS, "Read-only file system"), errno.EROFS),
    (OSError(HDF5), errno.ENOSPC),
    (RuntimeError(HDF5.removeprefix("[Errno 28] ")), errno.ENOSPC),
    (SafetensorError("I/O error: No space left on device (os error 28)"), errno.ENOSPC),
    (RuntimeError("[enforce fail] . unexpected pos 576 vs 534"), errno.ENOSPC),
    (RuntimeError("open file failed with strerror: Read-only file system"), errno.EROFS),
    (RuntimeError("shapes differ"), 0),
    (ValueError("errno = 28"), 0),
    (SafetensorError("header too large"), 0),
    (OSError("unknown"), 0),
]


@pytest.mark.parametrize(("error", "expected"), CASES)
def test_the_number_is_found(error: Exception, expected: int, tmp_path: Path) -> None:
    assert system_errno(error) == expected
    with pytest.raises(Exception) as caught, named_system_errors(tmp_path / "x"):
        raise error
    if expected:
        found = caught.value
        assert (found.errno, found.filename) == (expected, str(tmp_path / "x"))
    else:
        assert caught.value is error


def test_the_innermost_file_is_the_one_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="No space") as caught,
        named_system_errors(tmp_path / "outer"),
        named_system_errors(tmp_path / "inner"),
    ):
        # shutil names the file that it copies from.
        raise OSError(errno.ENOSPC, "No space left on device", "source")
    assert caught.value.filename == str(tmp_path / "inner")


def test_an_absent_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, named_system_errors(tmp_path / "x"):
        (tmp_path / "absent").read_bytes()
    assert caught.value.filename == str(tmp_path / "absent")


def test_the_message_says_what_to_do() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "results/x.h5")
    assert explain(error) == (
        "results/x.h5: no space left on device; free space there and run the same command again; "
        "what is done is kept."
    )
    assert explain(OSError(HDF5)).startswith("/a/x.h5: no space left on device; ")
    assert explain(OSError(errno.ENOENT, "No such file", "x")) == "x: No such file"
