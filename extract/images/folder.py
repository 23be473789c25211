"""Image ids -> files of one folder, and nothing outside of it."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from extract.core.errors import DataError, MissingFileError
from extract.images.files import UnreadableImage
from extract.tables.caption_lists import IMAGE_SUFFIXES
from extract.tables.lazy_table import pack_texts
from extract.tables.text_index import TextIndex


class ImageFolder:
    """The files of an image folder by the ids that they go by.

    Image ids come with or without extension, and an id may itself contain dots. Where two files
    differ in the suffix alone, the first by name stands for the id without suffix. An id is only
    looked up here, never joined to a path, so none leads out of the folder. Case counts. Text and
    file system often write the same accented letter differently (one character, or a letter and
    a mark): an id that is no file's name stands for the one file whose name has the same
    composed form (Unicode Standard Annex 15, NFC), if there is exactly one.

    Args:
        folder: that holds the images; folders below it do not count.
        follow_links: see `ImageLimits`.

    Raises:
        MissingFileError: the folder is not there.
        DataError: its name is not UTF-8.
    """

    def __init__(self, folder: Path, *, follow_links: bool = False) -> None:
        if not folder.is_dir():
            raise MissingFileError(
                f"{folder}: no such image folder. data/README.md says where images go; "
                "a corpus without images is declared by `images: null`."
            )
        if not _is_text(str(folder)):
            raise DataError(f"{folder!s:.200}: the name of the image folder is not UTF-8. Rename.")
        self.folder, self.follow_links = folder, follow_links
        self._real = os.path.realpath(folder)
        files = pack_texts(_iter_files(folder))
        self._files = TextIndex(files)
        self._suffixes = {_split(file)[1] for file in files} - {""}
        self._composed: dict[str, set[str]] = {}
        for file in files:
            # All plain ASCII names are composed already.
            if not file.isascii():
                for name in (file, _split(file)[0]):
                    self._composed.setdefault(_composed(name), set()).add(self._exact(name))

    def find(self, image_id: str) -> Path | None:
        """Return the file of an image id, None if there is none.

        Raises:
            UnreadableImage: several could be meant.
        """
        file = self._exact(image_id) or self._same_letters(image_id)
        return self.folder / file if file else None

    def refuse_outside(self, path: Path) -> None:
        """Stop at a link that leads out of the folder.

        Raises:
            UnreadableImage: it does, and `follow_links` is not set.
        """
        if self.follow_links or not path.is_symlink():
            return
        if os.path.commonpath([self._real, os.path.realpath(path)]) != self._real:
            raise UnreadableImage(
                "a link that leads out of the image folder; `follow_links: true` of "
                "`image_limits` in the config allows such"
            )

    def _exact(self, name: str) -> str | None:
        """Return the file with this name, whole or else without its image suffix."""
        if name in self._files:
            return name
        found = [name + s for s in self._suffixes if name and name + s in self._files]
        return min(found, default=None)

    def _same_letters(self, image_id: str) -> str | None:
        if image_id.isascii():
            return None
        found = self._composed.get(_composed(image_id), set())
        if len(found) > 1:
            raise UnreadableImage(
                f"{len(found)} files have this name but for the way of writing accents: "
                f"{', '.join(sorted(map(ascii, found)))}. Rename all but one"
            )
        return next(iter(found), None)


def _split(file: str) -> tuple[str, str]:
    """Return a name as stem and image suffix, which is empty where it has none."""
    stem, dot, suffix = file.rpartition(".")
    # As a path's suffix: what begins with its only dot, or ends with a dot, has none.
    if stem and suffix and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES:
        return stem, dot + suffix
    return file, ""


def _iter_files(folder: Path) -> Iterator[str]:
    """Yield names of ordinary files and links to such; what is not UTF-8 is nobody's id."""
    with os.scandir(folder) as entries:
        for entry in entries:
            # A link may lead to any text: where the entry and a path raise, this says no.
            is_file = os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()
            if is_file and _is_text(entry.name):
                yield entry.name


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_text(name: str) -> bool:
    """False for bytes that are not UTF-8, which Python shows as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
