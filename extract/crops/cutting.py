"""Crop files are cut from the images, and files of earlier runs removed."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from extract.core.errors import ConfigError
from extract.core.files import atomic_path
from extract.crops import record as crop_record
from extract.crops.plan import Crop
from extract.images.unchanged import load_unchanged
from extract.tables.images_table import ImageRow
from extract.tables.lazy_table import pack_texts
from extract.tables.text_index import TextIndex

_OURS = re.compile(r"\.?.+_pred_yolo_crop_\d+\.png((\.[0-9a-f]{8})?\.\d+\.tmp)?$")


def cut_crops(
    plan: Sequence[Crop], row: ImageRow, folder: Path, record: crop_record.CropRecord
) -> int:
    """Write the crop files of one image that are not there yet; return their number.

    Args:
        plan: of `plan_crops`.
        row: the image's line of images.tsv.
        folder: of the crops.
        record: of the folder, open.

    Raises:
        DataError: the image file is not the one that images.tsv describes.
    """
    image, n_cut = None, 0
    for crop in plan:
        if crop.crop is None or record.keep(crop.crop, crop.source_sha256, crop.clipped):
            continue
        image = image or load_unchanged(row)
        save_png(image.crop(tuple(crop.clipped)), folder / crop.crop)
        record.add(crop.crop, crop.source_sha256, crop.clipped)
        n_cut += 1
    return n_cut


def save_png(image: Image.Image, path: Path) -> None:
    """Write pixels and nothing else, so that equal pixels give equal bytes."""
    bare = Image.fromarray(np.asarray(image.convert("RGB")))
    with atomic_path(path) as tmp:
        bare.save(tmp, format="PNG", compress_level=6)


def claim_folder(folder: Path) -> None:
    """Create a folder of crops, or see that an existing one may be changed.

    Raises:
        ConfigError: it holds crops that were not made here, such as a downloaded archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # It says that the folder is one of ours, also while its manifest is not there.
    marker = folder / crop_record.NAME
    if not marker.exists() and any(_OURS.match(path.name) for path in folder.iterdir()):
        raise ConfigError(
            f"{folder}: holds crops that were not made here; they would be replaced or removed. "
            "Choose another --out, or move them away."
        )
    marker.touch()


def remove_old_crops(folder: Path, kept: Iterable[str]) -> int:
    """Remove crop files of earlier runs, and halves of interrupted ones; return their number.

    Args:
        folder: of the crops.
        kept: names of files that are in it, each once.
    """
    names = pack_texts(kept)
    # Every kept one is there: where there are no more, none is old.
    if sum(1 for _ in _our_names(folder)) == len(names):
        return 0
    index = TextIndex(names)
    old = [name for name in _our_names(folder) if name not in index]
    for name in old:
        (folder / name).unlink()
    return len(old)


def _our_names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if _OURS.match(entry.name))
