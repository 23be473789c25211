"""VinVL's predictions.tsv: exact both ways, padding dropped, and every broken line named."""

import base64
import json
import math

import numpy as np
import pytest

from extract.core.errors import DataError, StoreError
from extract.store import FeatureStore
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found
from extract.words.image_text import ContextOptions, context_segments
from tests.builders.extract.interop_files import image, rows_of, run_export, run_import, write_store

IMAGES = [image(i) for i in ("a.jpg", "none", "gone", "b")]
DIM = 4
OUTPUTS = Outputs(
    feature_dim=DIM,
    feature_dtype="float32",
    boxes=True,
    scores=True,
    labels=("car", "unused", "žena"),
    attributes=("blue", "old", "red"),
)


def attributes_of(*rows):
    """Columns of attribute ids and scores, 16 places a row."""
    ids = np.full((len(rows), 16), -1, np.int32)
    scores = np.full((len(rows), 16), np.nan, np.float32)
    for i, row in enumerate(rows):
        for j, (index, score) in enumerate(row):
            ids[i, j], scores[i, j] = index, score
    return {"attributes": ids, "attribute_scores": scores}


def region_store(path, dtype="float32"):
    outputs = Outputs(**{**vars(OUTPUTS), "feature_dtype": dtype})
    rng = np.random.default_rng(1)
    first = ItemFeatures(
        features=rng.normal(size=(2, DIM)).astype(dtype),
        boxes=np.array([[0.1, 1 / 3, 60.7, 40], [5, 6, 7, 8.25]], np.float32),
        scores=np.array([0.9, 1 / 3], np.float32),
        labels=np.array([2, 0]),
        **attributes_of([(2, 0.7), (0, 0.1)], []),
    )
    second = ItemFeatures(
        features=rng.normal(size=(1, DIM)).astype(dtype),
        boxes=np.array([[0, 0, 64, 48]], np.float32),
        scores=np.array([0.25], np.float32),
        labels=np.array([0]),
        **attributes_of([(i % 3, 1 - i / 20) for i in range(16)]),
    )
    results = {"a.jpg": first, "none": nothing_found("no region", outputs), "b": second}
    return write_store(path, IMAGES, results, outputs)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_export_then_import_is_exact(tmp_path, dtype):
    store = region_store(tmp_path / "a.h5", dtype)
    counts = run_export("vinvl_tsv", store, tmp_path / "p.tsv", IMAGES, feature_dim=DIM)
    assert counts == {"lines": 3, "left_out": 1, "objects": 3}
    counts = run_import(
        "vinvl_tsv", tmp_path / "p.tsv", tmp_path / "b.h5", IMAGES, feature_dim=DIM, dtype=dtype
    )
    assert rows_of(tmp_path / "b.h5") == rows_of(store)
    assert counts["objects"] == 3 and counts["missing_in_file"] == 1
    with FeatureStore(tmp_path / "b.h5") as opened:
        # What no row uses is not in the file.
        assert opened.outputs.labels == ("car", "žena")
        assert opened.outputs.attributes == ("blue", "old", "red")
    # And the other way round: the same bytes.
    run_export("vinvl_tsv", tmp_path / "b.h5", tmp_path / "q.tsv", IMAGES, feature_dim=DIM)
    assert (tmp_path / "p.tsv").read_bytes() == (tmp_path / "q.tsv").read_bytes()
    assert (tmp_path / "p.lineidx").read_bytes() == (tmp_path / "q.lineidx").read_bytes()


def test_the_exported_line_reads_as_its_own_reader_reads_it(tmp_path):
    store = region_store(tmp_path / "a.h5")
    run_export("vinvl_tsv", store, tmp_path / "p.tsv", IMAGES, feature_dim=DIM)
    with (tmp_path / "p.tsv").open() as file, (tmp_path / "p.lineidx").open() as index:
        file.seek([int(line) for line in index][2])
        key, text = (column.strip() for column in file.readline().split("\t"))
    content = json.loads(text)
    assert key == "b" and content["relations"] is None
    (found,) = content["objects"]
    assert found["rect"] == [0, 0, 64, 48] and found["class"] == "car" and found["conf"] == 0.25
    feature = np.frombuffer(base64.b64decode(found["feature"]), np.float32)
    with FeatureStore(store) as opened:
        assert feature.tolist() == opened.item("b").features[0].tolist()
    assert len(found["attributes"]) == len(found["attr_scores"]) == 16


def encoded(values):
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


def an_object(**changes):
    record = {
        "rect": [1.5, 2, 30, 40.25],
        "bbox_id": 3,
        "class": "woman",
        "conf": 0.875,
        "feature": encoded([1, 2, 3, 4]),
    }
    return {key: value for key, value in (record | changes).items() if value is not ...}


def write_lines(path, *lines):
    path.write_text("".join(f"{key}\t{json.dumps(value)}\n" for key, value in lines))
    return path


def objects(*found):
    return {"objects": list(found), "relations": None}


def test_a_line_becomes_a_row_becomes_a_phrase(tmp_path):
    padded = {
        "attributes": ["blond", "young", "red"] + ["tall"] * 13,
        "attr_scores": [0.2, 0.75, 0.05] + [0.0] * 13,
    }
    source = write_lines(
        tmp_path / "p.tsv",
        ("b", objects(an_object(**padded), an_object(**{"class": "car", "conf": 0.1}))),
        ("a", objects()),
        ("other", objects(an_object(**{"class": "zebra"}))),
    )
    counts = run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    assert counts["zero_score_attributes"] == 13 and counts["surplus_keys"] == 1
    with FeatureStore(tmp_path / "x.h5") as store:
        item = store.item("b")
        assert item.attributes_of(0) == [
            ("young", 0.75), ("blond", pytest.approx(0.2)), ("red", pytest.approx(0.05))
        ]  # fmt: skip
        assert item.attributes_of(1) == []
        assert item.features.tolist() == [[1, 2, 3, 4]] * 2
        assert item.boxes[0].tolist() == [1.5, 2, 30, 40.25]
        # Nothing seen is not the same as not looked at.
        assert store.item("a.jpg").status == STATUS["nothing_found"]
        assert store.item("gone").status == STATUS["missing"]
        # Of the whole file, so that it does not depend on the manifest.
        assert store.outputs.labels == ("car", "woman", "zebra")
        segments = context_segments({"objects": item}, ContextOptions(use=("objects",)), "")
    assert [segment.words for segment in segments] == [["blond", "young", "woman"]]


def test_features_may_be_left_out(tmp_path):
    source = write_lines(tmp_path / "p.tsv", ("b", objects(an_object(feature=...))))
    with pytest.raises(DataError, match=r"p\.tsv:1: objects\[0\]: feature: is not there"):
        run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES, feature_dim=0)
    run_export("vinvl_tsv", tmp_path / "x.h5", tmp_path / "q.tsv", IMAGES, feature_dim=0)
    run_import("vinvl_tsv", tmp_path / "q.tsv", tmp_path / "y.h5", IMAGES, feature_dim=0)
    assert rows_of(tmp_path / "x.h5") == rows_of(tmp_path / "y.h5")


def test_attributes_beyond_sixteen_are_counted_and_the_best_kept(tmp_path):
    many = {
        "attributes": [f"a{i:02d}" for i in range(18)],
        "attr_scores": [(i + 1) / 20 for i in range(18)],
    }
    source = write_lines(tmp_path / "p.tsv", ("b", objects(an_object(**many))))
    counts = run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    assert counts["attributes_over_16"] == 2
    with FeatureStore(tmp_path / "x.h5") as store:
        words = [word for word, _ in store.item("b").attributes_of(0)]
    assert words == [f"a{i:02d}" for i in reversed(range(2, 18))]


def test_a_file_without_any_object(tmp_path):
    source = write_lines(tmp_path / "p.tsv", ("b", objects()))
    counts = run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES)
    assert counts["status"]["nothing_found"] == 1 and counts["rows"] == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a JSON object"),
        ({}, "objects: expected a JSON list"),
        (objects("x"), r"objects\[0\]: expected a JSON object"),
        (objects(an_object(rect=[1, 2, 3])), "rect: expected four numbers"),
        (objects(an_object(rect=[1, 2, 3, "4"])), "rect: expected a number"),
        (objects(an_object(rect=[9, 2, 3, 4])), "rect: a corner is left of"),
        (objects(an_object(rect=[1, 2, 3, 10**400])), "no finite number"),
        (objects(an_object(rect=...)), "rect: expected a JSON list"),
        (objects(an_object(**{"class": 7})), "class: expected a string"),
        (objects(an_object(**{"class": ""})), "class is empty"),
        (objects(an_object(**{"class": "a\0"})), "class: .*NUL"),
        (objects(an_object(conf=None)), "conf: expected a number"),
        (objects(an_object(conf=math.nan)), "not JSON"),
        (objects(an_object(attributes=["x"], attr_scores=[])), "1 attributes but 0"),
        (objects(an_object(attributes="x", attr_scores=[1])), "attributes: expected a JSON list"),
        (objects(an_object(attributes=[1], attr_scores=[1])), "attributes: expected a string"),
        (objects(an_object(attributes=["x"], attr_scores=["1"])), "attr_scores: expected a num"),
        (objects(an_object(feature=7)), "feature: expected a string"),
        (objects(an_object(feature="AAAA!")), "feature: not base64"),
        (
            objects(an_object(feature=encoded([1, 2]))),
            r"expected 4 float32 \(16 bytes\), got 2 \(8 bytes\)",
        ),
        (objects(an_object(feature=encoded([1, 2, 3, math.inf]))), "infinite"),
    ],
)
def test_broken_lines_name_file_line_and_place(tmp_path, value, message):
    source = write_lines(tmp_path / "p.tsv", ("a", objects()), ("b", value))
    with pytest.raises(DataError, match=rf"p\.tsv:2: .*{message}|p\.tsv:2: {message}"):
        run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES, feature_dim=DIM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a\t{"objects": []}\na\t{"objects": []}\n', r":2: key 'a' was already in .*p\.tsv:1"),
        ('\t{"objects": []}\n', ":1: the first column"),
        ("a\n", ":1: expected key TAB JSON, got 1 columns"),
        ("a\tx\ty\n", ":1: expected key TAB JSON, got 3 columns"),
        ("a\t{\n", ":1: not JSON"),
        ("a\t" + "[" * 100_000 + "\n", ":1: not JSON"),
    ],
)
def test_broken_files_are_refused(tmp_path, text, message):
    source = tmp_path / "p.tsv"
    source.write_text(text)
    with pytest.raises(DataError, match=rf"p\.tsv{message}"):
        run_import("vinvl_tsv", source, tmp_path / "x.h5", IMAGES)


def test_what_the_file_cannot_say_is_not_exported(tmp_path):
    images = [image("a")]
    grounding = Outputs(text=True, boxes=True, scores=True)
    box = np.array([[0, 0, 1, 1]], np.float32)
    unscored = ItemFeatures(
        boxes=box, scores=np.array([np.nan]), labels=np.array([0]), features=np.ones((1, DIM))
    )
    only = {"feature_dim": DIM, "boxes": True, "scores": True, "labels": ("x",)}
    cases = [
        (ItemFeatures(text=["x"], boxes=box, scores=np.ones(1)), grounding, "needs boxes, scores"),
        (unscored, Outputs(**only), "row 0 has no score"),
        (unscored, Outputs(**{**only, "feature_dim": DIM}), "not 2048"),
    ]
    for number, (result, outputs, message) in enumerate(cases):
        store = write_store(tmp_path / f"{number}.h5", images, {"a": result}, outputs)
        dim = 2048 if "2048" in message else DIM
        with pytest.raises(StoreError, match=message):
            run_export("vinvl_tsv", store, tmp_path / "q.tsv", images, feature_dim=dim)
    assert not (tmp_path / "q.tsv").exists() and not (tmp_path / "q.lineidx").exists()
