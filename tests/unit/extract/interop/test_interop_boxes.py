"""Pascal VOC folders and COCO files: exact boxes both ways, and COCO as annotations."""

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from extract.core.errors import ConfigError, DataError, MissingFileError, StoreError
from extract.features.annotations import read_annotations
from extract.features.inputs import by_image_id
from extract.grounding.base import GROUNDING_OUTPUTS
from extract.store import FeatureStore
from extract.tables.rows import ItemFeatures, Outputs, nothing_found
from tests.builders.extract.interop_files import image, rows_of, run_export, run_import, write_store

IMAGES = [image(i, size=(800, 1000)) for i in ("a.jpg", "none", "gone", "17_06_1", "v1.2")]


def random_boxes(n, seed=0):
    """Boxes with corners of every magnitude, whole ones too."""
    rng = np.random.default_rng(seed)
    low = rng.choice([0, 1e-9, 1e-3, 0.1, 1 / 3, 7, 99.5, 640.123], (n, 2))
    sides = rng.choice([1e-3, 0.7, 1, 33.3, 150], (n, 2))
    boxes = np.concatenate([low, low + sides], axis=1).astype(np.float32)
    return boxes[(boxes[:, :2] < boxes[:, 2:]).all(axis=1)]


def grounding_store(path, boxes=None, scores=None, texts=None):
    boxes = random_boxes(60) if boxes is None else np.array(boxes, np.float32)
    scores = np.full(len(boxes), np.nan) if scores is None else np.array(scores)
    texts = texts or [f"old <Riga> & {i % 7} é" for i in range(len(boxes))]
    half = len(boxes) // 2
    results = {"none": nothing_found("no box", GROUNDING_OUTPUTS)}
    for image_id, part in (("a.jpg", slice(half)), ("17_06_1", slice(half, None))):
        if len(boxes[part]):
            results[image_id] = ItemFeatures(
                text=texts[part], boxes=boxes[part], scores=scores[part].astype(np.float32)
            )
    return write_store(path, IMAGES, results, GROUNDING_OUTPUTS)


def test_voc_keeps_boxes_to_the_last_bit(tmp_path):
    store = grounding_store(tmp_path / "a.h5")
    counts = run_export("voc", store, tmp_path / "xml", IMAGES)
    assert counts["files"] == 3 and counts["left_out"] == 2 and counts["boxes_without_area"] == 0
    run_import("voc", tmp_path / "xml", tmp_path / "b.h5", IMAGES)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)


def test_coco_keeps_boxes_and_scores_to_the_last_bit(tmp_path):
    scores = np.random.default_rng(1).random(len(random_boxes(60)))
    scores[3] = np.nan
    store = grounding_store(tmp_path / "a.h5", scores=scores)
    run_export("coco", store, tmp_path / "c.json", IMAGES)
    run_import("coco", tmp_path / "c.json", tmp_path / "b.h5", IMAGES)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)


def test_voc_counts_from_one_and_keeps_whole_pixels_whole(tmp_path):
    store = grounding_store(tmp_path / "a.h5", [(0, 0, 1, 1), (0, 2, 10.5, 20)])
    run_export("voc", store, tmp_path / "xml", IMAGES)
    root = ElementTree.parse(tmp_path / "xml" / "17_06_1.xml").getroot()
    assert root.findtext("filename") == "17_06_1.jpg"
    assert [root.findtext(f"size/{side}") for side in ("width", "height")] == ["1000", "800"]
    assert [corner.text for corner in root.find("object/bndbox")] == ["1", "3", "10.5", "20"]
    assert root.findtext("object/difficult") == "0"
    first = ElementTree.parse(tmp_path / "xml" / "a.jpg.xml").getroot()
    assert [corner.text for corner in first.find("object/bndbox")] == ["1", "1", "1", "1"]


def test_whole_pixels_grow_a_box_by_less_than_one_on_each_side(tmp_path):
    store = grounding_store(tmp_path / "a.h5")
    run_export("voc", store, tmp_path / "xml", IMAGES, whole_pixels=True)
    for path in (tmp_path / "xml").glob("*.xml"):
        for corner in ElementTree.parse(path).getroot().iter():
            if corner.tag in ("xmin", "ymin", "xmax", "ymax"):
                assert corner.text.isdecimal()
    run_import("voc", tmp_path / "xml", tmp_path / "b.h5", IMAGES)
    with FeatureStore(store) as old, FeatureStore(tmp_path / "b.h5") as new:
        for row in IMAGES:
            grown = new.item(row.image_id).boxes - old.item(row.image_id).boxes
            assert ((grown[:, :2] <= 0) & (grown[:, :2] > -1)).all()
            assert ((grown[:, 2:] >= 0) & (grown[:, 2:] < 1)).all()


def test_what_voc_loses(tmp_path):
    boxes = [(-4, -0.5, 10, 10), (5, 5, 5, 9), (1, 1, 2, 2)]
    store = grounding_store(tmp_path / "a.h5", boxes, [0.5, 0.6, 0.7], ["x\r\ny", "flat", " z "])
    counts = run_export("voc", store, tmp_path / "xml", IMAGES)
    assert counts["boxes"] == 2 and counts["boxes_without_area"] == 1
    run_import("voc", tmp_path / "xml", tmp_path / "b.h5", IMAGES)
    with FeatureStore(tmp_path / "b.h5") as opened:
        first, second = opened.item("a.jpg"), opened.item("17_06_1")
    assert first.boxes.tolist() == [[0, 0, 10, 10]] and first.text == ("x\ny",)
    assert second.text == ("z",) and np.isnan(second.scores).all()


def test_an_export_is_replaced_but_nothing_else_is(tmp_path):
    store = grounding_store(tmp_path / "a.h5")
    for _ in range(2):
        run_export("voc", store, tmp_path / "xml", IMAGES)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.xml").write_text("<annotation/>")
    with pytest.raises(ConfigError, match="not empty and no export"):
        run_export("voc", store, tmp_path / "mine", IMAGES)


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_classes_stand_for_texts_and_other_stores_are_refused(tmp_path, kind):
    out = tmp_path / ("xml" if kind == "voc" else "c.json")
    images = [image("a")]
    box = np.array([[0, 0, 5, 5]], np.float32)
    labelled = {"a": ItemFeatures(boxes=box, labels=np.array([0]))}
    store = write_store(
        tmp_path / "a.h5", images, labelled, Outputs(boxes=True, labels=("dog", "x"))
    )
    run_export(kind, store, out, images)
    run_import(kind, out, tmp_path / "b.h5", images)
    with FeatureStore(tmp_path / "b.h5") as opened:
        assert opened.item("a").text == ("dog",)
    captions = write_store(
        tmp_path / "c.h5", images, {"a": ItemFeatures(text=["x"])}, Outputs(text=True)
    )
    with pytest.raises(StoreError, match="a box needs a text or a class"):
        run_export(kind, captions, tmp_path / "other.json", images)


@pytest.mark.parametrize("text", ["  ", "a\x01b", "\ufffe"])
def test_texts_that_xml_cannot_hold(tmp_path, text):
    store = grounding_store(tmp_path / "a.h5", [(0, 0, 5, 5)], texts=[text])
    with pytest.raises(DataError, match="cannot stand in XML"):
        run_export("voc", store, tmp_path / "xml", IMAGES)
    assert not (tmp_path / "xml").exists()


@pytest.mark.parametrize("image_id", ["../up", "a/b", "..", ".hidden"])
def test_ids_that_are_no_file_names(tmp_path, image_id):
    images = [image(image_id)]
    result = ItemFeatures(text=["x"], boxes=np.array([[0, 0, 1, 1]]), scores=np.ones(1))
    store = write_store(tmp_path / "a.h5", images, {image_id: result}, GROUNDING_OUTPUTS)
    with pytest.raises(DataError, match="no file name"):
        run_export("voc", store, tmp_path / "xml", images)


def test_drawn_boxes_of_tweets_survive_a_round_trip(repo_root, tmp_path):
    folder = repo_root / "tests" / "data" / "tweets30"
    images = [image(path.stem, size=(2000, 2000)) for path in sorted(folder.glob("*.xml"))]
    run_import("voc", folder, tmp_path / "a.h5", images)
    run_export("voc", tmp_path / "a.h5", tmp_path / "xml", images)
    assert read_annotations(tmp_path / "xml").keys() == read_annotations(folder).keys()
    for image_id, boxes in read_annotations(tmp_path / "xml").items():
        expected = read_annotations(folder)[image_id]
        assert [(b.text, b.xyxy) for b in boxes] == [(b.text, b.xyxy) for b in expected]


# COCO.


def coco(**changes):
    """A file of two images and two boxes."""
    content = {
        "images": [
            {"id": 5, "file_name": "train/a.jpg", "width": 9, "height": 9},
            {"id": 6, "file_name": "b"},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 2, "bbox": [1, 2, 3.5, 4], "score": 0.5},
            {"id": 2, "image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "Riga"}, {"id": 2, "name": "dog"}],
    }
    return content | changes


def write_coco(tmp_path, content):
    (tmp_path / "c.json").write_text(json.dumps(content))
    return tmp_path / "c.json"


def test_coco_is_read_as_annotations(tmp_path):
    boxes = read_annotations(write_coco(tmp_path, coco()))
    assert [(b.text, b.xyxy) for b in boxes["a"]] == [
        ("dog", (1, 2, 4.5, 6)), ("Riga", (0, 0, 1, 1))
    ]  # fmt: skip
    assert boxes["a"][0].score == 0.5 and math.isnan(boxes["a"][1].score)
    assert boxes["b"] == ()
    joined = by_image_id(boxes, [image("a.jpg"), image("b")], "annotations")
    assert joined["a.jpg"] == boxes["a"] and joined["b"] == ()


def test_coco_tells_nothing_found_from_missing(tmp_path):
    counts = run_import(
        "coco", write_coco(tmp_path, coco()), tmp_path / "x.h5", [image(i) for i in "abc"]
    )
    assert {k: v for k, v in counts["status"].items() if v} == {
        "ok": 1, "nothing_found": 1, "missing": 1
    }  # fmt: skip


ANNOTATION = coco()["annotations"][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([ANNOTATION], "'images' is not there"),
        (coco(categories={}), "'categories' is not there"),
        (coco(images=[{"id": 5}]), r"images\[0\]: expected \{id, file_name\}"),
        (coco(images=["x"]), r"images\[0\]: expected"),
        (coco(images=coco()["images"][:1] * 2), r"images\[1\]: id 5 occurs twice"),
        (
            coco(images=[{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "x/a.png"}]),
            "file_name occurs twice",
        ),
        (coco(annotations=[7]), r"annotations\[0\]: expected"),
        (coco(annotations=[ANNOTATION | {"image_id": 9}]), r"annotations\[0\]: .*KeyError\(9"),
        (coco(annotations=[ANNOTATION | {"image_id": [5]}]), r"annotations\[0\]: expected"),
        (coco(annotations=[ANNOTATION | {"category_id": 7}]), r"annotations\[0\]: .*KeyError\(7"),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, 3]}]), r"annotations\[0\]: expected"),
        (coco(annotations=[ANNOTATION | {"bbox": "abcd"}]), r"annotations\[0\]: "),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, 0, 3]}]), "box of 'dog' is empty"),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, -4, 3]}]), "box of 'dog' is empty"),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, 10**400, 3]}]), r"annotations\[0\]"),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, math.nan, 3]}]), "finite"),
        (coco(annotations=[ANNOTATION | {"bbox": [1, 2, True, 3.0, 4]}]), r"annotations\[0\]"),
        (coco(annotations=[ANNOTATION | {"score": "high"}]), "score should be a finite number"),
        (coco(annotations=[ANNOTATION | {"score": math.inf}]), "score should be a finite number"),
    ],
)
def test_broken_coco_names_file_and_place(tmp_path, content, message):
    path = write_coco(tmp_path, content)
    with pytest.raises(DataError, match=rf"c\.json: .*{message}"):
        read_annotations(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff"])
def test_what_is_no_json(tmp_path, text):
    (tmp_path / "c.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"c\.json: not JSON"):
        read_annotations(tmp_path / "c.json")


def test_sources_that_do_not_fit_the_kind(tmp_path):
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match=r"named \.json"):
        run_import("coco", tmp_path / "x.txt", tmp_path / "x.h5", IMAGES)
    with pytest.raises(MissingFileError, match=r"gone\.json"):
        run_import("coco", tmp_path / "gone.json", tmp_path / "x.h5", IMAGES)
    path = write_coco(tmp_path, coco())
    with pytest.raises(DataError, match="already in another source"):
        run_import("coco", [path, path], tmp_path / "x.h5", IMAGES)
    store = grounding_store(tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"ending in \.json"):
        run_export("coco", store, tmp_path / "c.txt", IMAGES)
