"""What items carry is joined with the manifest by image id."""

import json
import logging
from argparse import Namespace
from pathlib import Path

import pytest

from extract.core.errors import ConfigError, DataError
from extract.features.inputs import by_image_id, phrases_by_image, read_inputs
from extract.tables.images_table import ImageRow
from extract.tables.rows import Phrase
from extract.tables.samples import Sample, write_samples
from tests.builders.extract.feature_files import write_merged


def images(*ids: str) -> list[ImageRow]:
    return [ImageRow(i, f"{i}.jpg", "0", 1, 1, "ok") for i in ids]


def arguments(**given: object) -> Namespace:
    names = ("phrases", "annotations", "captions", "boxes")
    return Namespace(**{**dict.fromkeys(names), "samples": [], **given})


def write_phrases(path: Path, **by_sample: list[tuple[str, int, int]]) -> Path:
    records = [
        {"id": i, "phrases": [{"text": t, "start": s, "end": e} for t, s, e in found]}
        for i, found in by_sample.items()
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_nothing_given_is_none() -> None:
    inputs = read_inputs(arguments(), images("a"))
    assert vars(inputs) == {"phrases": None, "captions": None, "annotations": None, "boxes": None}


@pytest.mark.parametrize(
    ("image_id", "names"),
    [
        # A list and the manifest may each write the extension or not.
        ("a", ["a"]),
        ("a.jpg", ["a"]),
        ("a.JPG", ["a"]),
        ("a.jpg", ["a.jpg"]),
        ("a.b", ["a.b"]),
        ("a.b.png", ["a.b"]),
    ],
)
def test_lists_join_with_and_without_extension(image_id: str, names: list[str]) -> None:
    listed = {name: ["x", "y"] for name in names}
    assert by_image_id(listed, images(image_id), "things") == {image_id: ("x", "y")}


def test_a_whole_name_comes_before_a_name_without_extension() -> None:
    listed = {"a": [1], "a.jpg": [2]}
    assert by_image_id(listed, images("a", "a.jpg", "a.png"), "x") == {
        "a": (1,), "a.jpg": (2,), "a.png": (1,),
    }  # fmt: skip


def test_what_the_list_lacks_or_has_too_much_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = by_image_id({"a": [1], "q": [2], "r": [3]}, images("a", "b", "c"), "captions")
    assert found == {"a": (1,)}
    assert caplog.records[-1].getMessage() == "captions of 1 images in 3, unused names: 2"


def test_captions_and_annotations_are_read(tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("a.jpg :one\na.jpg :two\n")
    boxes = tmp_path / "boxes.jsonl"
    box = {"name": "Bob", "xyxy": [0, 0, 1, 1]}
    boxes.write_text(json.dumps({"image_id": "a", "width": 1, "height": 1, "boxes": [box]}) + "\n")
    inputs = read_inputs(arguments(captions=captions, annotations=boxes), images("a.jpg", "b"))
    assert inputs.captions == {"a.jpg": ("one", "two")}
    assert [found.text for found in inputs.annotations["a.jpg"]] == ["Bob"]


def test_boxes_are_a_store(tmp_path: Path) -> None:
    inputs = read_inputs(arguments(boxes=write_merged(tmp_path / "b.h5")), images("x"))
    assert inputs.boxes.item("x").boxes.shape == (0, 4)


def test_phrases_of_all_samples_of_an_image_in_order(tmp_path: Path) -> None:
    write_samples(tmp_path / "1.jsonl", [Sample("s1", "a", ["x"]), Sample("s2", "b", ["x"])])
    write_samples(tmp_path / "2.jsonl", [Sample("s3", "a", ["x"]), Sample("s4", "c", ["x"])])
    path = write_phrases(
        tmp_path / "p.jsonl",
        s3=[("z", 0, 1)],
        s1=[("y", 1, 2), ("x", 0, 1)],
        s2=[("w", 0, 3)],
        s4=[],
    )
    assert phrases_by_image(path, [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]) == {
        "a": (Phrase("y", 1, 2, "s1"), Phrase("x", 0, 1, "s1"), Phrase("z", 0, 1, "s3")),
        "b": (Phrase("w", 0, 3, "s2"),),
        "c": (),
    }


def test_a_sample_without_a_line_is_an_error(tmp_path: Path) -> None:
    write_samples(tmp_path / "1.jsonl", [Sample("s1", "a", ["x"]), Sample("s2", "b", ["x"])])
    path = write_phrases(tmp_path / "p.jsonl", s1=[])
    with pytest.raises(DataError, match=r"p\.jsonl: no line for sample 's2'"):
        phrases_by_image(path, [tmp_path / "1.jsonl"])


@pytest.mark.parametrize(
    "record", [{"id": "s1"}, {"phrases": []}, {"id": "s1", "phrases": [["a"]]}]
)
def test_a_line_of_another_form_is_named(tmp_path: Path, record: dict) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": "s0", "phrases": []}\n' + json.dumps(record) + "\n")
    with pytest.raises(DataError, match=r"p\.jsonl:2: expected \{id, phrases"):
        phrases_by_image(tmp_path / "p.jsonl", [])


def test_phrases_need_samples(tmp_path: Path) -> None:
    path = write_phrases(tmp_path / "p.jsonl")
    with pytest.raises(ConfigError, match="--phrases needs --samples"):
        read_inputs(arguments(phrases=path), images("a"))
