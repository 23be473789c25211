"""Boxes -> crop files `<image name>_pred_yolo_crop_<num>.png`, and `{image: [crops]}` dictionaries.

These are the files that HVPNeT, DeepKE, VEC-MNER, Co-MIPN and RPI-HMIF read.

- `<num>` is the row of the grounding store, from 0. Where a box gives no crop its number is left
  out, so that crop j and row j of any feature set made from the same boxes are the same region.
- `<image name>` is the image id with every character but ASCII letters, digits and `_.-~` written
  as `%XX` of its UTF-8 bytes. Where that name is too long for a file system, or an earlier image of
  the store has it in whatever case, `+` and eight digits of the id's sha256 tell them apart:
  different ids give different files on every file system.
- `crops.jsonl` has a line for each row of the store: its crop file, or why there is none. It is
  written last: a folder without it is not complete. Crops that an earlier run left whole, cut from
  the same pixels of the same bytes, are not cut again (record.py).
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import numpy as np
from PIL import Image

from extract.core.errors import ConfigError, DataError
from extract.core.files import atomic_path, write_text
from extract.crops import record as crop_record
from extract.images.decode import clip_box
from extract.images.listed import load_listed
from extract.tables.caption_lists import strip_image_suffix
from extract.tables.lazy_table import LazyTable, pack, pack_texts
from extract.tables.samples import ImageRow, iter_jsonl
from extract.tables.text_index import TextIndex, distinct

if TYPE_CHECKING:
    from extract.store import StoredItem

VERSION = 1
"""Raise it when crops, their names or their manifest change."""

MANIFEST = "crops.jsonl"

KeyForm = Literal["file", "id", "first_dot"]
"""Of a dictionary's keys: `file`: `<id>.jpg` (HVPNeT); `id`: without image extension; `first_dot`:
the id up to its first dot, where DeepKE and VEC-MNER look for the crops of a detector."""

_OURS = re.compile(r"\.?.+_pred_yolo_crop_\d+\.png((\.[0-9a-f]{8})?\.\d+\.tmp)?$")

# Leaves room in the 255 bytes of a file name for what is put around it, a temporary name's too.
_LONGEST_STEM = 180


@dataclass(frozen=True)
class Crop:
    """One line of `crops.jsonl`: a row of the grounding store and what became of it."""

    image_id: str
    row: int
    """Row of the item in the store, from 0."""
    crop: str | None
    """File name; None when there is no crop."""
    dropped: str | None
    """Why there is no crop."""
    box: list[float]
    """`xyxy` as stored, pixels of the upright image, x2/y2 exclusive."""
    clipped: list[int] | None
    """The pixels cut out, `xyxy`, x2/y2 exclusive; None for a box outside the image."""
    score: float | None
    """None where the store has none."""
    phrase: str
    source_sha256: str
    """Of the image file's bytes."""


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


def clip_to_image(
    box: Sequence[float], width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Return the whole pixels that a box touches inside an image, None when it touches none."""
    if not all(math.isfinite(value) for value in box):
        return None
    x1, y1, x2, y2 = box
    if min(x2, width) <= max(x1, 0) or min(y2, height) <= max(y1, 0):
        return None
    return clip_box(box, width, height)


def plan_crops(
    item: "StoredItem", image: ImageRow, *, stem: str, min_size_px: int = 1
) -> list[Crop]:
    """Decide for each row of an item whether it gives a crop.

    Args:
        item: of a grounding store.
        image: the same image's line of images.tsv.
        stem: the image's part of the file names, of `CropStems`.
        min_size_px: smallest width and height of a crop.
    """
    plan = []
    for row in range(item.n_rows):
        box = [float(value) for value in item.boxes[row]]
        clipped = clip_to_image(box, image.width, image.height)
        dropped = None
        if clipped is None:
            dropped = "outside the image"
        elif min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < min_size_px:
            dropped = f"smaller than {min_size_px} px"
        score = float("nan") if item.scores is None else float(item.scores[row])
        plan.append(
            Crop(
                image_id=image.image_id,
                row=row,
                crop=None if dropped else crop_name(stem, row),
                dropped=dropped,
                box=box,
                clipped=None if clipped is None else list(clipped),
                score=None if math.isnan(score) else score,
                phrase=item.text[row] if item.text is not None else "",
                source_sha256=image.sha256,
            )
        )
    return plan


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
        image = image or load_listed(row)
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


def manifest_line(crop: Crop) -> bytes:
    """Return the line of a crop in `crops.jsonl`."""
    return (json.dumps(vars(crop), ensure_ascii=False) + "\n").encode("utf-8")


def write_manifest(path: Path, lines: Iterable[bytes]) -> None:
    """Write `crops.jsonl`; the lines are those of `manifest_line`."""
    with atomic_path(path) as tmp, tmp.open("wb") as file:
        file.writelines(lines)


def iter_manifest(path: Path) -> Iterator[Crop]:
    """Yield the lines of `crops.jsonl`.

    Raises:
        DataError: a line has other fields.
    """
    for number, record in iter_jsonl(path):
        try:
            crop = Crop(**record)
        except TypeError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        yield crop


def read_manifest(path: Path) -> LazyTable[Crop]:
    """Read `crops.jsonl`, whose lines are parsed when they are looked at; see `iter_manifest`."""
    return pack(map(manifest_line, iter_manifest(path)), _parse_crop)


def _parse_crop(line: bytes) -> Crop:
    return Crop(**json.loads(line))


def files_by_image(crops: Iterable[Crop]) -> dict[str, list[str]]:
    """Return image id -> file names of its crops, best first; images without crops are left out."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for crop in crops:
        if crop.crop is not None:
            rows.setdefault(crop.image_id, []).append((crop.row, crop.crop))
    return {
        image_id: [name for _, name in sorted(found, key=itemgetter(0))]
        for image_id, found in rows.items()
    }


def dictionary_key(image_id: str, form: KeyForm = "file", suffix: str = ".jpg") -> str:
    """Return the key under which a consumer looks for the crops of an image.

    Args:
        image_id: with or without image extension.
        form: see `KeyForm`.
        suffix: of the form `file`, added to ids that have no image extension: HVPNeT's family looks
            up `<id>.jpg`, and a key without it gives blank crops without a message.
    """
    if form == "file":
        has_suffix = strip_image_suffix(image_id) != image_id
        return image_id if has_suffix else image_id + suffix
    name = strip_image_suffix(image_id)
    return name if form == "id" else name.split(".")[0]


def crop_dictionary(
    image_ids: Iterable[str],
    crops: Iterable[Crop],
    *,
    keys: KeyForm = "file",
    key_suffix: str = ".jpg",
    prefix: str = "",
) -> dict[str, list[str]]:
    """Return image -> its crop files, best first, as HVPNeT and its family read it.

    Args:
        image_ids: of the split or splits, in sample order; repeated ones count once.
        crops: lines of `crops.jsonl`.
        keys: form of the keys.
        key_suffix: of keys of the form `file`, see `dictionary_key`.
        prefix: put before every file name, e.g. `twitter15_detect/crops/`.

    Returns:
        Every image id is a key; one without crops has an empty list.

    Raises:
        DataError: two ids would have one key.
    """
    files = files_by_image(crops)
    owner: dict[str, str] = {}
    dictionary: dict[str, list[str]] = {}
    for image_id in image_ids:
        key = dictionary_key(image_id, keys, key_suffix)
        if owner.setdefault(key, image_id) != image_id:
            raise DataError(f"image ids {owner[key]!r} and {image_id!r} both give key {key!r}")
        dictionary[key] = [prefix + name for name in files.get(image_id, [])]
    return dictionary


def save_dictionary(dictionary: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write a dictionary as `<path>` (torch) and, in the same order, as JSON beside it.

    The torch file holds a plain dict of lists of strings: it loads with `weights_only=True`.
    """
    import io

    import torch

    plain = {key: list(names) for key, names in dictionary.items()}
    # Through memory, because torch.save writes the name of a file into it: bytes would differ.
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    with atomic_path(path) as tmp:
        tmp.write_bytes(buffer.getvalue())
    write_text(path.with_suffix(".json"), json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
