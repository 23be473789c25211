"""Feature files that are damaged, or that make HDF5 look elsewhere."""

import random
import tempfile
from functools import cache
from pathlib import Path

from extract.errors import StoreError
from extract.store import check_bytes, merge_shards, open_whole, verify_store
from tests.fuzz.mutations import mutate
from tests.unit.extract.evil_stores import EVIL
from tests.unit.extract.feature_files import change_file, write_merged

NAME = "hdf5"


@cache
def _whole() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_merged(Path(folder) / "m.h5", 12).read_bytes()


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Damage a merged file, or change it as an evil program could: no reader may take it."""
    path = folder / "evil.h5"
    if rng.random() < 0.3:
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


def _read(path: Path) -> None:
    with open_whole(path) as store:
        list(store.items())


def _merge(path: Path) -> None:
    merge_shards([path], path.with_name("merged.h5"))


_READERS = (check_bytes, verify_store, _read, _merge)
