"""Every byte of the feature stores is checked before a run reads them.

A run reads rows in random order for hours: a damaged one would train or score without a word.
"""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from extract.core.launch import is_first_process
from extract.store import check_bytes

logger = logging.getLogger(__name__)


def check_stores(paths: Iterable[Path]) -> None:
    """Compare stores with their checksums, in the first of several processes alone.

    Raises:
        MissingFileError: a store is not there.
        StoreError: a store changed since it was written, or was never merged.
    """
    if not is_first_process():
        return
    for path in sorted({Path(path) for path in paths}):
        started = time.monotonic()
        check_bytes(path)
        logger.info(
            "%s: checksums of %.0f MB match (%.1f s)",
            path, path.stat().st_size / 2**20, time.monotonic() - started,
        )  # fmt: skip
