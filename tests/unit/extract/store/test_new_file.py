"""A disk that is full is an error that names the file, at whatever byte; HDF5 does not crash."""

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.store.checksums import add_checksums, changed_datasets
from extract.store.new_file import NewFile, new_file

ROWS = 2000


def fill(file: NewFile) -> None:
    """Write strings, numbers and attributes, read them back for their checksums."""
    ids = [f"id {number}" for number in range(ROWS)]
    for name in ("ids", "items/reason"):
        file.create_dataset(name, data=ids, dtype=h5py.string_dtype())
    file.create_dataset("status", data=np.zeros(ROWS, np.uint8))
    file.create_dataset("offsets", data=np.arange(ROWS + 1))
    file.create_dataset("rows/features", data=np.ones((ROWS, 8), np.float32))
    file.attrs["format_version"] = "1.0"
    add_checksums(file)
    file.attrs["complete"] = True


def run_full_after(size: int, target: Path) -> int:
    """Write in a child whose files may not be larger; return its exit status."""
    child = os.fork()
    if child == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            with new_file(target) as file:
                fill(file)
        except OSError as error:
            os._exit(2 if (error.errno, error.filename) == (errno.EFBIG, str(target)) else 3)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_full_disk_is_an_error_wherever_it_strikes(tmp_path: Path) -> None:
    whole = tmp_path / "whole.h5"
    with new_file(whole) as file:
        fill(file)
    size = whole.stat().st_size
    for number in range(25):
        target = tmp_path / f"{number}.h5"
        assert run_full_after(number * size // 25, target) == 2, number
    assert run_full_after(size, tmp_path / "fits.h5") == 0
    assert (tmp_path / "fits.h5").read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fits.h5", "whole.h5"]


def test_what_is_written_reads_as_any_other_file(tmp_path: Path) -> None:
    with new_file(tmp_path / "x.h5") as file:
        fill(file)
    with h5py.File(tmp_path / "x.h5") as file:
        assert changed_datasets(file) == []
        assert file["ids"].asstr()[-1] == f"id {ROWS - 1}"
        assert file["rows/features"].id.get_offset() is not None


def test_an_error_of_the_caller_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "x.h5"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_long_writing_stops_early(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"), new_file(tmp_path / "x.h5") as file:
        file._sink.error = OSError(errno.ENOSPC, "full")
        file.check()
        raise AssertionError("the error is known by now")
