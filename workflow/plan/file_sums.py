"""Checksums of the files that users put there, so that what was made of them follows them.

Snakemake goes by times: a copy of the same file would be a reason to compute everything again, and
a file that took the place of a damaged one is none where it is older. Here the content decides.
Reading gigabytes at every call would take too long: a checksum is remembered together with the
sizes and times of the files that it was computed from.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from extract.core.files import write_json
from extract.networks.weights import counted_files, weights_sha256

REMEMBERED = Path(".snakemake/mner_file_sums.json")


def file_sums(paths: Iterable[str]) -> dict[str, str]:
    """Return path -> checksum of files and checkpoint folders, where there is something.

    Args:
        paths: as the config names them.
    """
    return {path: _sum(path) for path in sorted(paths) if os.path.exists(path)}


@cache
def _sum(path: str) -> str:
    known, state = _remembered(), _state(Path(path))
    if known.get(path, {}).get("state") != state:
        known[path] = {"state": state, "sha256": weights_sha256(Path(path))}
        # Where nothing can be written there, the next call computes it again.
        with suppress(OSError):
            write_json(REMEMBERED, known)
    return known[path]["sha256"]


def _remembered() -> dict[str, dict]:
    try:
        known = json.loads(REMEMBERED.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _state(path: Path) -> list[list]:
    """Return name, size and times of the files that count."""
    stats = [(name, file.stat()) for name, file in sorted(counted_files(path))]
    return [[name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in stats]
