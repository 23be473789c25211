"""Decode an image of the manifest from exactly the bytes that the manifest lists.

Else what is made of it would be filed under the checksum of the image that was there before. These
bytes passed the limits when images.tsv was made, so there is no second limit here.
"""

import hashlib
from pathlib import Path

from PIL import Image

from extract.errors import DataError
from extract.images import UnreadableImage, decode_image, read_image_file
from extract.manifest import ImageRow


def load_listed(row: ImageRow, *, draft_px: int | None = None) -> Image.Image:
    """Decode an image that the manifest says is readable.

    Args:
        row: its line of images.tsv.
        draft_px: as `decode_image` takes it.

    Raises:
        DataError: it is no longer the file that the manifest lists.
    """
    path = Path(row.path)
    try:
        data = read_image_file(path)
        if hashlib.sha256(data).hexdigest() == row.sha256:
            return decode_image(data, draft_px=draft_px)
        change = "other bytes"
    except (OSError, UnreadableImage) as error:
        change = str(error)
    raise DataError(
        f"{path}: image '{row.image_id}' changed since images.tsv was made ({change}). "
        "Run the `dataset` command or rule again."
    )
