"""From plans to the corpus folder: CoNLL text, images, captions, boxes and evidence.

Layout of the folder:
    {train,valid,test}.txt  `IMGID:<id>`, then `token<TAB>tag` lines, then a blank line
    images/<id>.<jpg|png>
    captions.txt            `<file name> :<caption>` a line
    annotations.jsonl       {"image_id", "width", "height", "boxes": [{"name", "xyxy"}]} a line;
                            pixels of the upright image, x2/y2 exclusive
    evidence.tsv            `<id><TAB>words|picture|ocr` a line
Images that are missing or truncated have neither caption nor annotation.
"""

import json
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from extract.core.files import atomic_path, write_text
from extract.sample.plan import TweetPlan, draw
from extract.tables.samples import SPLITS

_JPEG = {"format": "JPEG", "quality": 88, "subsampling": 2, "optimize": False}
_PNG = {"format": "PNG", "compress_level": 6}
_EXIF_ORIENTATION = 0x0112
_TURNED_LEFT = 6
"""Stored a quarter turn to the left: the viewer has to turn it right."""


def write_corpus(folder: Path, plans: Sequence[TweetPlan], *, workers: int | None = None) -> None:
    """Write the corpus into `folder`; the bytes depend on the plans only.

    Args:
        folder: made if needed; files of the same name are replaced.
        plans: what `plan_corpus` returned.
        workers: processes that draw, at most one a core; None takes all cores.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    n_workers = max(1, min(workers or os.cpu_count() or 1, os.cpu_count() or 1))
    if n_workers == 1:
        for plan in plans:
            write_image(images, plan)
    else:
        # Fresh interpreters: a fork of a process with threads (torch, BLAS) can hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
            list(pool.map(partial(write_image, images), plans, chunksize=25))
    write_texts(folder, plans)


def write_image(folder: Path, plan: TweetPlan) -> None:
    """Write the image file of one tweet, or nothing when it is the missing one."""
    if plan.special == "missing":
        return
    with atomic_path(folder / plan.file_name) as tmp:
        tmp.write_bytes(encode_image(plan, draw(plan)))


def encode_image(plan: TweetPlan, image: Image.Image) -> bytes:
    """Return the bytes of a tweet's image file, with what its special case asks for.

    Args:
        plan: says the file type and the special case.
        image: what `draw` returned for it.
    """
    buffer = BytesIO()
    if plan.special == "rgba":
        image.putalpha(Image.radial_gradient("L").resize(image.size).point(lambda v: 255 - v // 4))
        image.save(buffer, **_PNG)
    elif plan.special == "exif":
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = _TURNED_LEFT
        image.transpose(Image.Transpose.ROTATE_90).save(buffer, exif=exif, **_JPEG)
    else:
        image.save(buffer, **(_PNG if plan.suffix == ".png" else _JPEG))
    data = buffer.getvalue()
    return data[: len(data) // 2] if plan.special == "truncated" else data


def write_texts(folder: Path, plans: Sequence[TweetPlan]) -> None:
    """Write everything but the images."""
    for split in SPLITS:
        blocks = [_conll(plan) for plan in plans if plan.split == split]
        write_text(folder / f"{split}.txt", "".join(blocks))
    seen = [plan for plan in plans if plan.is_readable]
    write_text(folder / "captions.txt", _lines(f"{p.file_name} :{p.caption}" for p in seen))
    write_text(folder / "annotations.jsonl", _lines(_annotation(plan) for plan in seen))
    write_text(folder / "evidence.tsv", _lines(f"{p.image_id}\t{p.evidence}" for p in plans))


def _conll(plan: TweetPlan) -> str:
    pairs = zip(plan.tokens, plan.tags, strict=True)
    rows = [f"IMGID:{plan.image_id}", *(f"{token}\t{tag}" for token, tag in pairs)]
    return "\n".join(rows) + "\n\n"


def _annotation(plan: TweetPlan) -> str:
    record = {
        "image_id": plan.image_id,
        "width": plan.picture.width,
        "height": plan.picture.height,
        "boxes": [{"name": name, "xyxy": list(box)} for name, box in plan.boxes],
    }
    return json.dumps(record, ensure_ascii=False)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
