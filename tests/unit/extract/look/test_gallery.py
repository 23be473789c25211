"""What a page of results shows of each image."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.__main__ import main
from extract.core.digests import file_sha256
from extract.look.gallery import thumbnail
from extract.tables.images_table import ImageRow, write_images
from extract.tables.rows import Outputs
from extract.tables.samples import Sample, write_samples
from tests.unit.extract.look.test_contact_sheet import boxes_of, write_store


def decoded(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A corpus of a wide image, a missing one and one that no sample has; three stores."""
    picture = tmp_path / "a.png"
    Image.new("RGB", (640, 200), "red").save(picture)
    rows = [
        ImageRow("a", str(picture), file_sha256(picture), 200, 640, "ok"),
        ImageRow("b", "", "", 0, 0, "missing", "no such file"),
        ImageRow("c", "", "", 0, 0, "missing", "no such file"),
    ]
    write_images(tmp_path / "images.tsv", rows)
    samples = [Sample("2", "b", ["x"], ["O"]), Sample("1", "a", ["x"], ["O"])]
    write_samples(tmp_path / "test.jsonl", samples)
    gone = ("missing", "no such file")
    found = boxes_of((1.26, 2, 30, 40), (5, 6, 7, 8), names=["Ann", "Bo"], scores=[0.9, np.nan])
    outputs = Outputs(text=True, boxes=True, scores=True)
    write_store(tmp_path / "yolo.h5", {"a": found, "b": gone, "c": gone}, outputs)
    words = boxes_of((0, 0, 5, 5), names=["EXIT"], scores=[0.25])
    write_store(tmp_path / "ocr.h5", {"a": words, "b": gone, "c": gone}, outputs)
    empty = ("nothing_found", "no caption in the list")
    blip = {"a": empty, "b": gone, "c": gone}
    write_store(tmp_path / "blip.h5", blip, Outputs(text=True))
    flags = {"images": "images.tsv", "samples": "test.jsonl", "boxes": "yolo.h5"}
    flags |= {"ocr": "ocr.h5", "captions": "blip.h5", "out": "gallery.jsonl"}
    return ["gallery", *(f"--{key}={tmp_path / name}" for key, name in flags.items())]


def read(tmp_path: Path) -> list[dict]:
    lines = (tmp_path / "gallery.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_image_of_the_samples_is_told(tmp_path: Path, arguments: list[str]) -> None:
    assert main([*arguments, "--longest-px", "64"]) == 0
    missing, found = read(tmp_path)
    assert (missing["image_id"], missing["status"]) == ("b", "missing")
    assert missing["reason"] == "no such file" and missing["thumbnail"] is None
    assert missing["notes"] == dict.fromkeys(("yolo", "blip", "ocr"), "no such file")
    assert decoded(found.pop("thumbnail")).size == (64, 20)
    assert found == {
        "image_id": "a",
        "path": str(tmp_path / "a.png"),
        "status": "ok",
        "reason": "",
        "size": [200, 640],
        "boxes": {
            "yolo": [
                {"box": [1.3, 2.0, 30.0, 40.0], "text": "Ann", "score": 0.9},
                {"box": [5.0, 6.0, 7.0, 8.0], "text": "Bo", "score": None},
            ]
        },
        "captions": {},
        "ocr": {"ocr": [{"text": "EXIT", "score": 0.25}]},
        "notes": {"blip": "no caption in the list"},
    }


def test_equal_input_gives_equal_bytes_and_boxes_are_limited(
    tmp_path: Path, arguments: list[str]
) -> None:
    assert main(arguments) == 0
    first = (tmp_path / "gallery.jsonl").read_bytes()
    assert main(arguments) == 0
    assert (tmp_path / "gallery.jsonl").read_bytes() == first
    assert main([*arguments, "--max-boxes", "1"]) == 0
    assert [box["text"] for box in read(tmp_path)[1]["boxes"]["yolo"]] == ["Ann"]


def test_a_changed_image_and_odd_sizes_are_refused(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture
) -> None:
    for flag, value in (("--quality", "96"), ("--longest-px", "0"), ("--max-boxes", "0")):
        assert main([*arguments, flag, value]) == 2
        assert f"{flag}: expected" in capsys.readouterr().err
    Image.new("RGB", (640, 200), "blue").save(tmp_path / "a.png")
    assert main(arguments) == 2
    assert "image 'a' changed since images.tsv was made" in capsys.readouterr().err
    assert not (tmp_path / "gallery.jsonl").exists()


def test_small_images_are_not_enlarged() -> None:
    uri = thumbnail(Image.new("RGB", (1, 3000)), longest_px=300, quality=75)
    assert decoded(uri).size == (1, 300)
    assert decoded(thumbnail(Image.new("RGB", (9, 7)), longest_px=300, quality=75)).size == (9, 7)
