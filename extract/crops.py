"""Boxes -> crop files `<image name>_pred_yolo_crop_<num>.png`, and `{image: [crops]}` dictionaries.

These are the files that HVPNeT, DeepKE, VEC-MNER, Co-MIPN and RPI-HMIF read.

- `<num>` is the row of the grounding store, from 0. Where a box gives no crop its number is left
  out, so that crop j and row j of any feature set made from the same boxes are the same region.
- `<image name>` is the image id with every character but letters, digits and `_.-~` written as
  `%XX` of its UTF-8 bytes. Different ids give different names. Ids that differ in case only give
  names that differ in case only: do not cut those on a file system that ignores case.
- `crops.jsonl` has a line for each row of the store: its crop file, or why there is none. It is
  written last: a folder without it is not complete.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from extract.atomic import atomic_path, write_text
from extract.errors import DataError
from extract.images import clip_box, file_sha256, load_image
from extract.manifest import ImageRow, iter_jsonl
from extract.store import StoredItem

MANIFEST = "crops.jsonl"

_OURS = re.compile(r"\.?.+_pred_yolo_crop_\d+\.png(\.\d+\.tmp)?$")
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|gif|webp|bmp)$", re.IGNORECASE)


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


def crop_name(image_id: str, number: int) -> str:
    """Return the file name of crop `number` of an image; unique for each pair."""
    return f"{quote(image_id, safe='')}_pred_yolo_crop_{number}.png"


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


def plan_crops(item: StoredItem, image: ImageRow, *, min_size_px: int = 1) -> list[Crop]:
    """Decide for each row of an item whether it gives a crop.

    Args:
        item: of a grounding store.
        image: the same image's line of images.tsv.
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
                crop=None if dropped else crop_name(image.image_id, row),
                dropped=dropped,
                box=box,
                clipped=None if clipped is None else list(clipped),
                score=None if math.isnan(score) else score,
                phrase=item.text[row] if item.text is not None else "",
                source_sha256=image.sha256,
            )
        )
    return plan


def cut_crops(plan: Sequence[Crop], path: Path, folder: Path) -> None:
    """Write the crop files of one image.

    Raises:
        DataError: the image file is not the one that images.tsv describes.
    """
    wanted = [crop for crop in plan if crop.crop is not None]
    if not wanted:
        return
    if file_sha256(path) != wanted[0].source_sha256:
        raise DataError(
            f"{path}: the file changed since images.tsv was made. Make images.tsv and boxes anew."
        )
    image = load_image(path)
    for crop in wanted:
        save_png(image.crop(tuple(crop.clipped)), folder / crop.crop)


def save_png(image: Image.Image, path: Path) -> None:
    """Write pixels and nothing else, so that equal pixels give equal bytes."""
    bare = Image.fromarray(np.asarray(image.convert("RGB")))
    with atomic_path(path) as tmp:
        bare.save(tmp, format="PNG", compress_level=6)


def remove_old_crops(folder: Path, kept: Iterable[str]) -> int:
    """Remove crop files of earlier runs, and halves of interrupted ones; return their number."""
    kept = set(kept)
    old = [path for path in folder.iterdir() if _OURS.match(path.name) and path.name not in kept]
    for path in old:
        path.unlink()
    return len(old)


def write_manifest(path: Path, crops: Iterable[Crop]) -> None:
    """Write one JSON object a crop."""
    lines = (json.dumps(asdict(crop), ensure_ascii=False) + "\n" for crop in crops)
    write_text(path, "".join(lines))


def read_manifest(path: Path) -> list[Crop]:
    """Read `crops.jsonl`.

    Raises:
        DataError: a line has other fields.
    """
    crops = []
    for number, record in iter_jsonl(path):
        try:
            crops.append(Crop(**record))
        except TypeError as error:
            raise DataError(f"{path}:{number}: {error}") from error
    return crops


def count_dropped(crops: Iterable[Crop]) -> dict[str, int]:
    """Return how many rows gave no crop, by reason."""
    return dict(sorted(Counter(crop.dropped for crop in crops if crop.dropped).items()))


def crop_dictionary(
    image_ids: Iterable[str], crops: Iterable[Crop], *, key_suffix: str = ".jpg"
) -> dict[str, list[str]]:
    """Return image file name -> its crop files, best first, as HVPNeT and its family read it.

    Args:
        image_ids: of the split, in sample order; repeated ones count once.
        crops: lines of `crops.jsonl`.
        key_suffix: added to ids that have no image suffix: those systems look up `<id>.jpg`, and
            a key without it gives blank crops without a message.

    Returns:
        Every image id is a key; one without crops has an empty list.

    Raises:
        DataError: two ids would have one key.
    """
    by_image: dict[str, list[str]] = {}
    for crop in sorted(crops, key=lambda crop: crop.row):
        if crop.crop is not None:
            by_image.setdefault(crop.image_id, []).append(crop.crop)
    owner: dict[str, str] = {}
    dictionary: dict[str, list[str]] = {}
    for image_id in image_ids:
        key = image_id if _IMAGE_SUFFIX.search(image_id) else image_id + key_suffix
        if owner.setdefault(key, image_id) != image_id:
            raise DataError(f"image ids {owner[key]!r} and {image_id!r} both give key {key!r}")
        dictionary[key] = by_image.get(image_id, [])
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
