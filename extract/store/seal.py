"""The seal of a feature file: a checksum behind its end that is checked before HDF5 reads it.

HDF5 trusts its own bookkeeping. A flipped bit there may give other values without an error, or end
the process. The seal finds accidents: broken disks, files cut off, programs that write into them.
It is no signature: anyone can compute one, so it says nothing of who did. `verify`, the command for
files from elsewhere, does not rely on it (see `extract/store/first_look.py`).

The seal covers every byte but the numbers under `/rows`, which are large, are only numbers whatever
they hold, and have checksums of their own:

    HDF5 file | JSON {"rows": [[offset, bytes], ...], "sha256": ...} | its length (8 bytes) | MAGIC

HDF5 itself ignores what follows the end of its file, and cuts it off when it opens the file for
writing, whether or not it changes anything.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from extract.core.errors import StoreError

MAGIC = b"MNERSEAL"
_FOOTER_BYTES = 8 + len(MAGIC)
_MAX_SEAL_BYTES = 4096
_BLOCK_BYTES = 1024 * 1024


def write_seal(file: BinaryIO, row_extents: Sequence[Sequence[int]]) -> None:
    """Append the seal to a feature file that HDF5 has closed.

    Args:
        file: open for reading and writing, without a seal.
        row_extents: (offset, bytes) of what it does not cover, in the order of the file.
    """
    end = file.seek(0, os.SEEK_END)
    extents = [list(extent) for extent in row_extents]
    body = _body(extents, _digest(file, extents, end))
    file.seek(end)
    file.write(body + len(body).to_bytes(8, "little") + MAGIC)


def check_seal(path: Path) -> bool:
    """Check the bytes that the file's seal covers.

    Returns:
        Whether there is a seal: a file of format 1.0 has none, and any other has lost it.

    Raises:
        StoreError: the bytes are not those that were sealed.
    """
    with Path(path).open("rb") as file:
        end, footer = _read_footer(file)
        if footer is None:
            return False
        length = int.from_bytes(footer[:8], "little")
        end -= _FOOTER_BYTES + length
        if length <= _MAX_SEAL_BYTES and end >= 0:
            file.seek(end)
            body = file.read(length)
            extents = _extents(body, end)
            if extents is not None and body == _body(extents, _digest(file, extents, end)):
                return True
    raise StoreError(
        f"{path}: its bytes are not those that were written (the seal at its end does not match). "
        "The file is damaged: delete it and rerun the rule that makes it."
    )


def _read_footer(file: BinaryIO) -> tuple[int, bytes | None]:
    """Return the size of the file and its last bytes, None where they end no seal."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _FOOTER_BYTES))
    footer = file.read()
    return end, footer if len(footer) == _FOOTER_BYTES and footer.endswith(MAGIC) else None


def _body(extents: list[list[int]], digest: str) -> bytes:
    return json.dumps({"rows": extents, "sha256": digest}, sort_keys=True).encode()


def _extents(body: bytes, end: int) -> list[list[int]] | None:
    """Return the extents of a seal, None where they are no parts of the file in order."""
    try:
        extents = json.loads(body)["rows"]
        position = 0
        for start, length in extents:
            if type(start) is not int or type(length) is not int or start < position or length < 0:
                return None
            position = start + length
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return extents if position <= end else None


def _digest(file: BinaryIO, extents: Sequence[Sequence[int]], end: int) -> str:
    """Return the checksum of the first `end` bytes without the extents."""
    digest = hashlib.sha256()
    position = 0
    for start, length in [*extents, [end, 0]]:
        file.seek(position)
        while position < start:
            block = file.read(min(_BLOCK_BYTES, start - position))
            if not block:
                break
            digest.update(block)
            position += len(block)
        position = start + length
    return digest.hexdigest()
