"""Feature files that are damaged, sealed after it, or that make HDF5 look elsewhere."""

import random
import tempfile
from argparse import Namespace
from functools import cache
from pathlib import Path

import h5py

from extract.commands import verify
from extract.core.errors import StoreError
from extract.store import check_bytes, merge_shards, open_whole, verify_store
from extract.store.seal import write_seal
from tests.builders.extract.evil_stores import EVIL
from tests.builders.extract.feature_files import change_file, write_merged
from tests.fuzz.mutations import mutate

NAME = "hdf5"


@cache
def _whole() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_merged(Path(folder) / "m.h5", 12).read_bytes()


@cache
def _unsealed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.h5"
        path.write_bytes(_whole())
        with h5py.File(path, "r+"):
            pass
        return path.read_bytes()


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Damage a merged file, or change it as an evil program could: no reader may take it."""
    path = folder / "evil.h5"
    if rng.random() < 0.3:
        return _verify_resealed(path, rng)
    if rng.random() < 0.4:
        name = rng.choice(sorted(EVIL))
        path.write_bytes(_whole())
        change_file(path, EVIL[name][0])
        what = name
    else:
        data = mutate(_whole(), rng)
        if data == _whole():
            return None
        path.write_bytes(data)
        what = "damage"
    for read in rng.sample(_READERS, 2):
        try:
            read(path)
        except StoreError as error:
            if path.name not in str(error):
                return f"{what}: the error does not name the file: {error}"
        else:
            return f"{what}: {read.__name__} took the file"
    return None


def _verify_resealed(path: Path, rng: random.Random) -> str | None:
    """Damage a file and seal it: `verify` refuses it, or readers can read it."""
    path.write_bytes(mutate(_unsealed(), rng))
    with path.open("r+b") as file:
        write_seal(file, [])
    try:
        verify.run(Namespace(file=path, images=None, out=path.with_suffix(".json")))
    except StoreError as error:
        return None if path.name in str(error) else f"the error does not name the file: {error}"
    _read(path)
    return None


def _read(path: Path) -> None:
    with open_whole(path) as store:
        list(store.items())


def _merge(path: Path) -> None:
    merge_shards([path], path.with_name("merged.h5"))


_READERS = (check_bytes, verify_store, _read, _merge)
