"""Other texts that corpora come with: samples, captions, evidence, boxes as XML, COCO and lines."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from extract.corpora.prepare import read_evidence
from extract.features.annotations import read_annotations
from extract.tables.caption_lists import read_caption_list
from extract.tables.images_table import read_images, write_images
from extract.tables.samples import read_samples, write_samples
from tests.fuzz.mutations import mutate
from tests.fuzz.refusal import may_refuse

NAME = "texts"

_SAMPLE = {"id": "s1", "image_id": "é😀", "tokens": ["a", "b"], "tags": ["O", "B-PER"]}
_SAMPLES = (json.dumps(_SAMPLE) + "\n") * 3
_CAPTIONS = "1.jpg :a dog : and a cat\n2.jpg :\n\ufeff3.PNG :x\n"
_EVIDENCE = "1\tpicture\n2\ttext only\n"
_BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>1e3</xmax><ymax>40</ymax></bndbox>"
_VOC = f'<?xml version="1.0"?>\n<annotation><object><name>R</name>{_BOX}</object></annotation>'
_ENTITIES = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(30))
_LAUGHS = f'<!DOCTYPE annotation [<!ENTITY e0 "ha">{_ENTITIES}]><annotation>&e30;</annotation>'
_OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
_COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a/b.jpg"}],
        "categories": [{"id": 1, "name": "R"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 1, 5, 6.5], "score": 0.5}],
    }
)
_LINES = '{"image_id": "a", "boxes": [{"name": "R", "xyxy": [0, 1, 5, 6.5]}]}\n'
_IMAGES = (
    "image_id\tpath\tsha256\theight\twidth\tstatus\treason\n"
    f"a\timages/a.jpg\t{'0' * 64}\t4\t5\tok\t\n"
    '"b\tc"\t\t\t0\t0\tmissing\t"no ""file"""\n'
)
# Values that JSON can write and few expect.
_VALUES = (
    "null", "true", "1e999", "-1e999", "NaN", "[]", "{}", '""', '"\\ud83d"', '"\\u0000"', 
    "1" * 5000, "[" * 5000, "9" * 300, "0.1", '{"a":' * 3000, "-0", '"\\u202e"', "1e-999", "[[1]]",
)  # fmt: skip


def _annotations(path: Path) -> None:
    with may_refuse():
        annotations = read_annotations(path)
    for boxes in annotations.values():
        for box in boxes:
            x1, y1, x2, y2 = box.xyxy
            assert x1 < x2 and y1 < y2, box


def _samples(path: Path) -> None:
    with may_refuse():
        samples = read_samples(path)
    again = path.with_name("again.jsonl")
    write_samples(again, samples)
    assert read_samples(again) == samples


def _images(path: Path) -> None:
    with may_refuse():
        rows = list(read_images(path))
    again = path.with_name("again.tsv")
    write_images(again, rows)
    assert list(read_images(again)) == rows


def _alone(read: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return a check of a reader whose result nothing writes."""

    def check(path: Path) -> None:
        with may_refuse():
            read(path)

    return check


# File name, legal contents, check of its reader.
_READERS: tuple[tuple[str, tuple[str, ...], Callable[[Path], None]], ...] = (
    ("train.jsonl", (_SAMPLES,), _samples),
    ("captions.txt", (_CAPTIONS,), _alone(read_caption_list)),
    ("evidence.tsv", (_EVIDENCE,), _alone(read_evidence)),
    ("voc/a.xml", (_VOC, _VOC, _LAUGHS, _OUTSIDE), lambda path: _annotations(path.parent)),
    ("coco.json", (_COCO,), _annotations),
    ("boxes.jsonl", (_LINES,), _annotations),
    ("images.tsv", (_IMAGES,), _images),
)


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Read one file."""
    name, texts, check = rng.choice(_READERS)
    text = rng.choice(texts)
    if rng.random() < 0.4:
        text = _with_strange_value(text, rng)
    if rng.random() < 0.03:
        text = text * (8_000_000 // len(text))
    data = text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "replace")
    if rng.random() < 0.8:
        data = mutate(data, rng)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    check(path)
    return None


def _with_strange_value(text: str, rng: random.Random) -> str:
    """Put a strange value where some character is, more often where a value begins."""
    places = [i for i, char in enumerate(text) if char in '":[{0123456789>\t'] or [0]
    start = rng.choice(places)
    return text[:start] + rng.choice(_VALUES) + text[start + rng.choice((0, 1, 1, 3)) :]
