"""A first look at a file that HDF5 may not survive, by a process whose death harms nobody.

HDF5 may end the process on wrong bookkeeping, go round in it for ever, or ask for memory without
bound. The seal tells that bytes changed since the file was written, not that whoever wrote it meant
well. So `python -m extract.store.first_look FILE` first reads what has no seal (files of format
1.0, and those that lost it), and whatever `verify` is given.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import h5py

from extract.core.errors import StoreError
from extract.core.system import allow_seconds, set_soft_limit

_ROOT = str(Path(__file__).resolve().parents[2])
_SECONDS = 10
_BYTES_PER_SECOND = 2**24
"""What the look takes by far less for: every string is read, of numbers only where they are."""
_MEMORY = 2 * 2**30
_MEMORY_PER_BYTE = 8
"""Of address space, libraries included. Strings take most: HDF5 and Python have copies of some."""
_REFUSED = 2
"""Exit code; why is said on standard output."""


def read_in_another_process(path: Path) -> None:
    """Read the index, the strings and the attributes of a file in another process.

    What the operating system refuses is left to the caller, who finds it again.

    Raises:
        StoreError: the file is refused; or that process died, or took longer or more memory than
            any whole file takes.
    """
    paths = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    size = path.stat().st_size
    limits = (_SECONDS + size // _BYTES_PER_SECOND, _MEMORY + size * _MEMORY_PER_BYTE)
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "extract.store.first_look", str(path), *map(str, limits)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode == _REFUSED:
        raise StoreError(ended.stdout.decode("utf-8", "replace"))
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise StoreError(
            f"{path}: HDF5 does not survive reading it ({name}). The file is damaged: delete it "
            "and rerun the rule that makes it."
        )


def main() -> None:
    """Read a file under limits."""
    from extract.store.format import open_unsealed, reading

    path, seconds, n_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    allow_seconds(seconds)
    set_soft_limit(resource.RLIMIT_AS, n_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with reading(path), open_unsealed(path) as file:
            _read(file)
        return
    except StoreError as error:
        refusal = str(error)
    except MemoryError:
        refusal = (
            f"{path}: reading it takes more than {n_bytes // 2**20} MiB. The file is damaged: "
            "delete it and rerun the rule that makes it."
        )
    sys.stdout.write(refusal)
    sys.exit(_REFUSED)


def _read(file: h5py.File) -> None:
    """Read everything that readers and `verify` read, but the numbers of rows."""
    from extract.store.checksums import checked_datasets, content_sha256
    from extract.store.format import read_outputs

    read_outputs(file)
    if "provenance" in file:
        file["provenance"][()]
    for dataset in checked_datasets(file):
        dataset.attrs.get("sha256")
        for axis in dataset.dims:
            axis.label  # noqa: B018
        if dataset.dtype == object or dataset.parent.name != "/rows":
            content_sha256(dataset)


if __name__ == "__main__":
    main()
