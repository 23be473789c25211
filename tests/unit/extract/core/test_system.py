"""What the system refuses is recognised in every library's words, and said in one line."""

import errno
from pathlib import Path

import pytest

from extract.core.system import (
    NamedSystemError,
    explain,
    named_system_errors,
    raise_if_refused,
    system_errno,
)


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


def test_another_file_that_cannot_be_read_is_the_one_named(tmp_path: Path) -> None:
    target, temporary = tmp_path / "folder", tmp_path / ".folder.tmp"
    named = {tmp_path / "source": tmp_path / "source", target: target, temporary: target}
    named[target / "part"] = target
    for file, expected in named.items():
        for number in (errno.EACCES, errno.EIO):
            with (
                pytest.raises(OSError) as caught,
                named_system_errors(tmp_path / "outer"),
                named_system_errors(target, temporary=temporary),
            ):
                raise OSError(number, "refused", str(file))
            assert (caught.value.errno, caught.value.filename) == (number, str(expected))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
def test_what_was_not_read_is_not_called_wrong(tmp_path: Path, number: int) -> None:
    text = f"Can't read data (file read failed: errno = {number}, error message = 'x')"
    for error in (OSError(number, "x"), OSError(text), RuntimeError(text)):
        with pytest.raises(NamedSystemError) as caught:
            raise_if_refused(error, tmp_path / "x.h5")
        assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "x.h5"))
        assert explain(caught.value).startswith(f"{tmp_path}/x.h5: ")
    # It names its file already.
    with pytest.raises(NamedSystemError) as again:
        raise_if_refused(caught.value, tmp_path / "other")
    assert again.value is caught.value


@pytest.mark.parametrize(
    "error",
    [
        OSError("Unable to open file (file signature not found)"),
        OSError("Can't read data (errno = 22, error message = 'Invalid argument')"),
        RuntimeError("unexpected pos 576 vs 534"),
        KeyError("errno = 5"),
    ],
)
def test_wrong_bytes_are_no_matter_of_the_system(tmp_path: Path, error: Exception) -> None:
    raise_if_refused(error, tmp_path / "x.h5")


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
