"""File names of crops: `<image name>_pred_yolo_crop_<num>.png`, different for different ids."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from extract.core.errors import DataError
from extract.tables.lazy_table import pack_texts
from extract.tables.text_index import TextIndex, distinct

# Leaves room in the 255 bytes of a file name for what is put around it, a temporary name's too.
_LONGEST_STEM = 180


class CropStems(Mapping[str, str]):
    """Image id -> the image's part of its crops' file names, made when it is asked for.

    The names differ even where case is ignored. They are ASCII, so that no file system changes
    their Unicode form.

    Args:
        image_ids: of the store, in its order: of two ids whose names differ in case at most, the
            first keeps the plain name.

    Raises:
        DataError: two checksums begin alike.
    """

    def __init__(self, image_ids: Iterable[str]) -> None:
        self._ids = distinct(image_ids)
        self._plain = TextIndex(pack_texts(_plain_stem(i).lower() for i in self._ids))
        again = TextIndex(pack_texts(stem.lower() for stem in self.values())).first_repeat()
        if again is not None:
            image_id = self._ids[again]
            raise DataError(
                f"image id {image_id!r}: crop name {self[image_id]!r} is taken. Rename the image."
            )

    def __getitem__(self, image_id: str) -> str:
        """Return the part of one of the images."""
        stem = _plain_stem(image_id)
        first = self._plain.find(stem.lower())
        if first is None:
            raise KeyError(image_id)
        if len(stem) <= _LONGEST_STEM and self._ids[first] == image_id:
            return stem
        # `+` is in no quoted name.
        digest = hashlib.sha256(image_id.encode("utf-8")).hexdigest()
        return f"{stem[:_LONGEST_STEM]}+{digest[:8]}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _plain_stem(image_id: str) -> str:
    return quote(image_id, safe="")


def crop_name(stem: str, number: int) -> str:
    """Return the file name of crop `number` of the image that `CropStems` names `stem`."""
    return f"{stem}_pred_yolo_crop_{number}.png"
