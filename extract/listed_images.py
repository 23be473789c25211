"""Decode an image of the manifest after seeing that it is still the file which the manifest lists.

Else what is made of it would be filed under the checksum of the image that was there before.
"""

from pathlib import Path

from PIL import Image

from extract.errors import DataError
from extract.images import UnreadableImage, file_sha256, load_image
from extract.manifest import ImageRow


def load_listed(row: ImageRow, *, draft_px: int | None = None) -> Image.Image:
    """Decode an image that the manifest says is readable.

    Args:
        row: its line of images.tsv.
        draft_px: as `load_image` takes it.

    Raises:
        DataError: it is no longer the file that the manifest lists.
    """
    path = Path(row.path)
    try:
        if file_sha256(path) == row.sha256:
            return load_image(path, draft_px=draft_px)
        change = "other bytes"
    except (OSError, UnreadableImage) as error:
        change = str(error)
    raise DataError(
        f"{path}: image '{row.image_id}' changed since images.tsv was made ({change}). "
        "Run the `dataset` command or rule again."
    )
