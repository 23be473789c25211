"""A feature file is opened only after checks that say what it is and that it is whole."""

from pathlib import Path

import h5py

from extract.core.errors import MissingFileError
from extract.store.first_look import read_in_another_process
from extract.store.format import open_described, reading
from extract.store.seal import check_seal


def check_foreign(path: Path) -> None:
    """Check that a file can be opened here, whoever made it.

    The seal is for accidents: anyone can compute one. So the file is read in another process first,
    sealed or not, where its readers trust the seal of files that this program made.

    Raises:
        MissingFileError: no such file.
        StoreError: the seal does not match, or the file is refused by `read_in_another_process`.
        OSError: the operating system refused to read it.
    """
    _check_is_file(path)
    with reading(path):
        check_seal(path)
        read_in_another_process(path)


def open_checked(path: Path, *, needs_seal: bool = True) -> h5py.File:
    """Open a feature file read-only after checking that it is one, whole, and made of nothing else.

    For files that this program made: a seal that matches is taken for a file that HDF5 can read.
    What comes from elsewhere goes through `check_foreign` first, as `verify` does.

    Args:
        path: of the file.
        needs_seal: refuse a file that lost its seal; a seal that does not match always is.

    Raises:
        MissingFileError: no such file.
        StoreError: not this format, another major version, not complete, damaged, or anything that
            `check_structure` refuses.
        OSError: the operating system refused to read it.
    """
    _check_is_file(path)
    with reading(path):
        if check_seal(path):
            return open_described(path, is_sealed=True)
        read_in_another_process(path)
        return open_described(path, is_sealed=not needs_seal)


def _check_is_file(path: Path) -> None:
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such feature file. Run the rule that makes it.")
