"""Decode an image of the manifest from exactly the bytes that the manifest lists.

Else what is made of it would be filed under the checksum of the image that was there before. These
bytes passed the limits when images.tsv was made, so there is no second limit here.
"""

import hashlib
from pathlib import Path

from PIL import Image

from extract.core.errors import DataError, MnerError
from extract.images.decode import ImageTooCostly, decode_image
from extract.images.files import UnreadableImage, read_image_file
from extract.tables.images_table import ImageRow


def load_unchanged(row: ImageRow, *, draft_px: int | None = None) -> Image.Image:
    """Decode an image that the manifest says is readable.

    Args:
        row: its line of images.tsv.
        draft_px: as `decode_image` takes it.

    Raises:
        DataError: it is no longer the file that the manifest lists, or the decoder is another one.
        MnerError: memory is short.
        NamedSystemError: the system failed to read the file.
    """
    path = Path(row.path)
    try:
        data = _read_listed(row, path)
        return decode_image(data, draft_px=draft_px)
    except (ImageTooCostly, MemoryError) as error:
        raise MnerError(
            f"{path}: not enough memory for image '{row.image_id}'. Give the job more, or lower "
            "`batch_size` or the number of threads and run the same command again."
        ) from error
    except UnreadableImage as error:
        raise DataError(
            f"{path}: image '{row.image_id}' has the bytes that images.tsv lists, but cannot be "
            f"decoded here: {error}. Delete probes.tsv beside images.tsv, then run the `dataset` "
            "command or rule again with this Python environment."
        ) from error


def _read_listed(row: ImageRow, path: Path) -> bytes:
    """Return the bytes of a file, which are those that the manifest lists."""
    change = "other bytes"
    try:
        data = read_image_file(path)
        if hashlib.sha256(data).hexdigest() == row.sha256:
            return data
    except UnreadableImage as error:
        change = str(error)
    raise DataError(
        f"{path}: image '{row.image_id}' changed since images.tsv was made ({change}). "
        "Run the `dataset` command or rule again."
    )
