"""Annotated boxes: the readers, the grounder, the order of rows, and hand-drawn boxes of tweets."""

import json
import math

import numpy as np
import pytest

from extract.commands.phrases import load_backend
from extract.core.errors import DataError, MissingFileError
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.features.annotations import read_annotations
from extract.grounding.annotations import Extractor, Options, best_phrase
from extract.grounding.base import GroundedRow, distinct_phrases, order_rows
from extract.tables.rows import STATUS, Box, Item, Phrase

VOC = """<annotation>
  <filename>other.jpg</filename>
  <object>
    <name> Sarah Park </name>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox>
    <bndbox><xmin>0</xmin><ymin>11.5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>
  </object>
  <object><name>Georgia</name></object>
  <object>
    <name>Sarah Park</name>
    <bndbox><xmin>5</xmin><ymin>6</ymin><xmax>5</xmax><ymax>6</ymax></bndbox>
  </object>
</annotation>
"""


def voc_folder(tmp_path, text, name="17_06_1.xml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_voc_boxes_become_zero_based_and_exclusive(tmp_path):
    boxes = read_annotations(voc_folder(tmp_path, VOC))
    assert list(boxes) == ["17_06_1"]
    assert [(box.text, box.xyxy) for box in boxes["17_06_1"]] == [
        ("Sarah Park", (0, 0, 100, 50)),
        ("Sarah Park", (0, 10.5, 20, 30)),
        # One pixel: first and last are the same, so it is one wide and one high.
        ("Sarah Park", (4, 5, 5, 6)),
    ]
    assert all(math.isnan(box.score) for box in boxes["17_06_1"])


def test_image_without_objects_has_no_boxes(tmp_path):
    assert read_annotations(voc_folder(tmp_path, "<annotation/>", "a.b.xml")) == {"a.b": ()}


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>
<annotation><object><name>&lol2;</name></object></annotation>
"""
EXTERNAL = '<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotation/>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"x\.xml:2: .*DOCTYPE"),
        (EXTERNAL, r"x\.xml:1: .*DOCTYPE"),
        ("<annotation>\n<object>\n</annotation>", r"x\.xml:3: not well-formed"),
        ("<annotation>&x;</annotation>", r"x\.xml:1: not well-formed"),
        ("", r"x\.xml:\d+: not well-formed"),
        ("<html/>", r"x\.xml:1: expected <annotation>"),
        ("<annotation>\n<object/>\n</annotation>", r"x\.xml:2: <object> without <name>"),
        (VOC.replace("<xmax>100<", "<xmax>wide<"), r"x\.xml:5: xmax: expected a number.*wide"),
        (VOC.replace("<xmax>100<", "<xmax>nan<"), r"x\.xml:5: .*finite"),
        (VOC.replace("<xmax>100</xmax>", ""), r"x\.xml:5: xmax: expected a number"),
        (VOC.replace("<xmax>100<", "<xmax>0<"), r"x\.xml:5: the box of 'Sarah Park' is empty"),
    ],
)
def test_broken_xml_names_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_annotations(voc_folder(tmp_path, text, "x.xml"))


def test_document_type_is_refused_in_any_encoding(tmp_path):
    (tmp_path / "x.xml").write_bytes(BOMB.replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"))
    with pytest.raises(DataError, match="DOCTYPE"):
        read_annotations(tmp_path)


def test_jsonl_boxes_are_taken_as_they_are(tmp_path):
    path = tmp_path / "boxes.jsonl"
    box = {"name": "Riga", "xyxy": [0, 1, 2.5, 3]}
    lines = [
        {"image_id": "a/1.png", "width": 9, "height": 9, "boxes": [box]},
        {"image_id": "b", "width": 9, "height": 9, "boxes": []},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_annotations(path)["b"] == ()
    (only,) = read_annotations(path)["a/1.png"]
    assert (only.text, only.xyxy) == ("Riga", (0.0, 1.0, 2.5, 3.0))


@pytest.mark.parametrize(
    ("second_line", "message"),
    [
        ('{"image_id": "a", "boxes": []}', "twice"),
        ('{"image_id": "b"}', "expected {image_id"),
        ('{"image_id": "b", "boxes": [{"name": "x", "xyxy": [1, 2, 3]}]}', "four finite numbers"),
        ('{"image_id": "b", "boxes": [{"name": "x", "xyxy": [3, 2, 1, 4]}]}', "is empty"),
        ('{"image_id": "b", "boxes": [{"name": "x", "xyxy": "abcd"}]}', "four finite numbers"),
        ('{"image_id": "b", "boxes": [{"name": 7, "xyxy": [0, 0, 1, 1]}]}', "name must be"),
        ("[]", "expected a JSON object"),
    ],
)
def test_broken_jsonl_names_file_and_line(tmp_path, second_line, message):
    path = tmp_path / "boxes.jsonl"
    path.write_text('{"image_id": "a", "boxes": []}\n' + second_line + "\n")
    with pytest.raises(DataError, match=rf"boxes\.jsonl:2: .*{message}"):
        read_annotations(path)


def test_annotations_that_are_not_there(tmp_path):
    with pytest.raises(MissingFileError, match=r"no \*\.xml files"):
        read_annotations(tmp_path)
    with pytest.raises(MissingFileError, match="no such"):
        read_annotations(tmp_path / "gone")
    (tmp_path / "boxes.txt").write_text("")
    with pytest.raises(DataError, match="expected a folder"):
        read_annotations(tmp_path / "boxes.txt")


def test_order_is_score_then_start_then_box():
    rows = [
        GroundedRow("c", (5, 0, 6, 1), 0.5, start=3),
        GroundedRow("n1", (9, 9, 10, 10)),
        GroundedRow("b", (2, 0, 3, 1), 0.5, start=1),
        GroundedRow("a", (1, 0, 2, 1), 0.5, start=1),
        GroundedRow("n0", (0, 0, 1, 1)),
        GroundedRow("best", (7, 0, 8, 1), 0.9, start=8),
    ]
    assert [row.text for row in order_rows(rows)] == ["best", "a", "b", "c", "n1", "n0"]


def test_distinct_phrases_keep_the_first():
    phrases = [Phrase("A b", 3, 5), Phrase("a B", 1, 3), Phrase("c", 0, 1)]
    assert distinct_phrases(phrases) == [phrases[0], phrases[2]]


@pytest.mark.parametrize(
    ("name", "phrases", "expected"),
    [
        ("Sarah Park", ["Georgia", "sarah"], 1),
        ("New Orleans # Saints", ["Saints notes", "NFL New Orleans"], 1),
        ("Dr . Seuss", ["reading Dr", "Seuss"], 0),
        ("Game of Thrones", ["of the day", "state of"], None),
        ("#NBA", ["nba"], 0),
        ("IT", ["it"], 0),
        ("Park", ["parking"], None),
        ("Riga", [], None),
    ],
)
def test_a_name_goes_to_the_phrase_that_shares_most_words(name, phrases, expected):
    candidates = [Phrase(text, i, i + 1) for i, text in enumerate(phrases)]
    assert best_phrase(name, candidates) == (None if expected is None else candidates[expected])


def item(phrases, boxes):
    return Item(
        "i",
        None,
        phrases=tuple(Phrase(text, i, i + 1) for i, text in enumerate(phrases)),
        annotations=tuple(Box(xyxy, text=name) for name, xyxy in boxes),
    )


BOXES = [("Riga", (5, 5, 9, 9)), ("Oslo", (0, 0, 2, 2)), ("riga", (1, 1, 3, 3))]


def test_grounder_takes_boxes_of_overlapping_entities_in_annotation_order():
    (found,) = Extractor(Options()).extract([item(["old Riga", "x"], BOXES)])
    assert found.status == STATUS["ok"]
    assert list(found.text) == ["old Riga", "old Riga"]
    assert found.boxes.tolist() == [[5, 5, 9, 9], [1, 1, 3, 3]]
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert np.isnan(found.scores).all()


def test_mode_all_takes_every_box_under_its_own_name():
    (found,) = Extractor(Options(mode="all")).extract([item([], BOXES)])
    assert list(found.text) == ["Riga", "Oslo", "riga"]
    assert found.boxes.tolist() == [list(xyxy) for _, xyxy in BOXES]


@pytest.mark.parametrize(
    ("phrases", "boxes", "reason"),
    [
        ([], BOXES, "no phrase"),
        (["Riga"], [], "no annotated box"),
        (["Berlin"], BOXES, "no annotated box overlaps a phrase"),
    ],
)
def test_nothing_found_says_why(phrases, boxes, reason):
    (found,) = Extractor(Options()).extract([item(phrases, boxes)])
    assert (found.status, found.reason, found.n_rows) == (STATUS["nothing_found"], reason, 0)
    assert found.boxes.shape == (0, 4)


def test_hand_drawn_boxes_lie_inside_the_photos(repo_root, shared_data):
    from extract.images.decode import load_image

    annotations = read_annotations(repo_root / "tests" / "data" / "tweets30")
    assert len(annotations) == 10
    for image_id, boxes in annotations.items():
        image = load_image(shared_data / "tweets30" / "images" / f"{image_id}.jpg")
        for box in boxes:
            x1, y1, x2, y2 = box.xyxy
            assert 0 <= x1 < x2 <= image.width and 0 <= y1 < y2 <= image.height, image_id


def test_phrases_of_real_tweets_find_the_hand_drawn_boxes(repo_root, shared_data, monkeypatch):
    monkeypatch.setattr("nltk.data.path", [str(shared_data / "nltk_data")])
    backend = load_backend("nltk")
    backend.load(None)
    annotations = read_annotations(repo_root / "tests" / "data" / "tweets30")
    items = [
        Item(
            sample.image_id,
            None,
            phrases=tuple(backend.phrases(sample.tokens, sample.id)),
            annotations=annotations[sample.image_id],
        )
        for split in ("train", "valid", "test")
        for sample in iter_samples(shared_data / "tweets30", split, TextSettings())
        if sample.image_id in annotations
    ]
    assert len(items) == 10
    grounder = Extractor(Options())
    found = grounder.extract(items)
    assert sum(result.n_rows > 0 for result in found) >= 8
    by_image = {entry.image_id: result for entry, result in zip(items, found, strict=True)}
    assert list(by_image["tw17_train_4"].text) == ["Garth Brooks"]
    assert by_image["tw17_train_4"].boxes.tolist() == [[534, 56, 990, 812]]
    # A batch of one gives what a batch of many gives.
    for entry, result in zip(items, found, strict=True):
        (alone,) = grounder.extract([entry])
        assert np.array_equal(alone.boxes, result.boxes) and list(alone.text) == list(result.text)
