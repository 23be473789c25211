"""Which boxes become crops: files `<image name>_pred_yolo_crop_<num>.png`, listed in `crops.jsonl`.

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

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.core.errors import DataError
from extract.core.files import atomic_path
from extract.crops.names import crop_name
from extract.images.decode import clip_box
from extract.tables.images_table import ImageRow
from extract.tables.lazy_table import LazyTable, pack
from extract.tables.text_lines import iter_jsonl

if TYPE_CHECKING:
    from extract.store import StoredItem

VERSION = 1
"""Raise it when crops, their names or their manifest change."""

MANIFEST = "crops.jsonl"


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
