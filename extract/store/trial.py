"""A first look at a file without a seal, by a process whose death harms nobody.

HDF5 may end the process on damaged bookkeeping, or go round in it for ever. Of a sealed file the
bytes that it relies on were checked before; files of format 1.0, and those that lost their seal,
are read by `python -m extract.store.trial FILE` first.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from extract.errors import StoreError
from extract.process_limits import allow_seconds

_ROOT = str(Path(__file__).resolve().parents[2])
_SECONDS = 10
_BYTES_PER_SECOND = 2**24
"""What the look takes by far less for: every string is read, of numbers only where they are."""


def try_reading(path: Path) -> None:
    """Read the index and the strings of a file in another process.

    What is wrong with the file in any other way is left to the caller, who finds it again.

    Raises:
        StoreError: that process died, or took longer than any whole file takes.
    """
    paths = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "extract.store.trial", str(path), str(seconds)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise StoreError(
            f"{path}: HDF5 does not survive reading it ({name}). The file is damaged: delete it "
            "and rerun the rule that makes it."
        )


def main() -> None:
    """Read; the exit code says nothing, only a signal does."""
    from extract.store.checksums import checked_datasets, content_sha256
    from extract.store.format import open_unsealed

    path, seconds = Path(sys.argv[1]), int(sys.argv[2])
    allow_seconds(seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open_unsealed(path) as file:
        for dataset in checked_datasets(file):
            if dataset.dtype == object or dataset.parent.name != "/rows":
                content_sha256(dataset)


if __name__ == "__main__":
    main()
