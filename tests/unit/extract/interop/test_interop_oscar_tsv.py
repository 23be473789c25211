"""Oscar's feature and label files: widths checked, geometry derived, rows joined if equal."""

import base64
import json

import numpy as np
import pytest

from extract.core.errors import ConfigError, DataError, StoreError
from extract.store import FeatureStore
from extract.tables.rows import ItemFeatures, Outputs, nothing_found
from tests.builders.extract.interop_files import image, rows_of, run_export, run_import, write_store

IMAGES = [image("a.jpg"), image("none"), image("gone"), image("b", size=(333, 500))]
DIM = 4
OUTPUTS = Outputs(
    feature_dim=DIM, feature_dtype="float32", boxes=True, scores=True, labels=("car", "dog")
)


def region_store(path, dtype="float32"):
    outputs = Outputs(**{**vars(OUTPUTS), "feature_dtype": dtype})
    rng = np.random.default_rng(2)
    first = ItemFeatures(
        features=rng.normal(size=(2, DIM)).astype(dtype),
        boxes=np.array([[0.1, 1 / 3, 60.7, 40], [5, 6, 7, 8.25]], np.float32),
        scores=np.array([0.9, np.nan], np.float32),
        labels=np.array([1, 0]),
    )
    second = ItemFeatures(
        features=rng.normal(size=(1, DIM)).astype(dtype),
        boxes=np.array([[100 / 3, 0.7, 499.9, 333]], np.float32),
        scores=np.array([0.25], np.float32),
        labels=np.array([0]),
    )
    results = {"a.jpg": first, "none": nothing_found("no region", outputs), "b": second}
    return write_store(path, IMAGES, results, outputs)


def exported(tmp_path, store, **options):
    out = tmp_path / "x.feature.tsv"
    counts = run_export("oscar_tsv", store, out, IMAGES, feature_dim=DIM, **options)
    assert counts == {"lines": 3, "left_out": 1}
    return out, tmp_path / "x.label.tsv"


@pytest.mark.parametrize("geometry", [True, False])
@pytest.mark.parametrize("form", ["json", "three_columns"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_both_files_together_are_exact(tmp_path, form, geometry, dtype):
    store = region_store(tmp_path / "a.h5", dtype)
    files = exported(tmp_path, store, form=form, geometry=geometry)
    counts = run_import("oscar_tsv", files, tmp_path / "b.h5", IMAGES, feature_dim=DIM, dtype=dtype)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)
    assert counts["keys_without_labels"] == counts["keys_without_features"] == 0
    assert counts["missing_in_file"] == 1 and counts["status"]["nothing_found"] == 1


def test_features_alone_keep_features_exactly_and_boxes_to_rounding(tmp_path):
    store = region_store(tmp_path / "a.h5")
    features, _ = exported(tmp_path, store)
    run_import("oscar_tsv", features, tmp_path / "b.h5", IMAGES, feature_dim=DIM)
    with FeatureStore(store) as old, FeatureStore(tmp_path / "b.h5") as new:
        assert new.outputs.boxes and not new.outputs.labels and not new.outputs.scores
        for row in IMAGES:
            assert np.array_equal(old.item(row.image_id).features, new.item(row.image_id).features)
            np.testing.assert_allclose(
                new.item(row.image_id).boxes, old.item(row.image_id).boxes, rtol=2e-7
            )


def test_labels_alone_are_boxes_with_classes(tmp_path):
    store = region_store(tmp_path / "a.h5")
    _, labels = exported(tmp_path, store)
    run_import("oscar_tsv", labels, tmp_path / "b.h5", IMAGES)
    before, after = rows_of(store), rows_of(tmp_path / "b.h5")
    for rows in before.values():
        rows.pop("features")
    assert after == before


def test_the_lines_are_those_that_oscar_reads(tmp_path):
    store = region_store(tmp_path / "a.h5")
    files = exported(tmp_path, store)
    for path in files:
        index = path.with_suffix(".lineidx").read_text().split()
        assert len(index) == 3 and index[0] == "0"
    key, text = files[0].read_text().splitlines()[2].split("\t")
    content = json.loads(text)
    assert key == "b" and content["num_boxes"] == 1
    values = np.frombuffer(base64.b64decode(content["features"]), np.float32)
    with FeatureStore(store) as opened:
        item = opened.item("b")
    x1, y1, x2, y2 = item.boxes[0].astype(float)
    expected = [x1 / 500, y1 / 333, x2 / 500, y2 / 333, (x2 - x1) / 500, (y2 - y1) / 333]
    assert values[:DIM].tolist() == item.features[0].tolist()
    np.testing.assert_array_equal(values[DIM:], np.array(expected, np.float32))
    labels = json.loads(files[1].read_text().splitlines()[0].split("\t")[1])
    assert [sorted(label) for label in labels] == [["class", "conf", "rect"], ["class", "rect"]]


def feature_line(key, values, n_boxes):
    text = base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()
    return f"{key}\t{json.dumps({'num_boxes': n_boxes, 'features': text})}\n"


def test_a_released_width_of_2054_and_half_of_it(tmp_path):
    """Files with 1027 values a box are around: half the width of 2054."""
    path = tmp_path / "x.feature.tsv"
    path.write_text(feature_line("b", np.ones((3, 2054)), 3))
    run_import("oscar_tsv", path, tmp_path / "x.h5", IMAGES)
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.item("b").features.shape == (3, 2048)
        assert store.item("b").boxes[0].tolist() == [500, 333, 500, 333]
    path.write_text(feature_line("b", np.ones((3, 1027)), 3))
    with pytest.raises(
        DataError,
        match=r"x\.feature\.tsv:1: expected 3 boxes of 2054 or 2048 float32, got 12324 bytes, "
        r"which are 1027 float32 a box\. Half the width",
    ):
        run_import("oscar_tsv", path, tmp_path / "x.h5", IMAGES)


def test_features_without_geometry_have_no_boxes(tmp_path):
    path = tmp_path / "f.tsv"
    path.write_text(feature_line("b", np.ones((2, DIM)), 2))
    run_import("oscar_tsv", path, tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    with FeatureStore(tmp_path / "x.h5") as store:
        assert not store.outputs.boxes


def test_numbers_of_labels_and_features_may_differ_but_are_not_joined(tmp_path):
    features, labels = tmp_path / "f.tsv", tmp_path / "l.tsv"
    features.write_text(feature_line("b", np.ones((2, DIM)), 2))
    label = {"class": "dog", "rect": [0, 0, 5, 5], "conf": 0.5}
    labels.write_text(f"b\t{json.dumps([label])}\n")
    with pytest.raises(DataError, match=r"l\.tsv:1: 1 labels, but 2 features.*two stores"):
        run_import("oscar_tsv", [features, labels], tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    labels.write_text(f"b\t{json.dumps([label] * 2)}\nnone\t[]\n")
    counts = run_import("oscar_tsv", [labels, features], tmp_path / "x.h5", IMAGES, feature_dim=DIM)
    assert counts["keys_without_features"] == 1 and counts["status"]["missing"] == 3


def test_boxes_need_the_size_of_the_image(tmp_path):
    images = [image("b", "no_images")]
    path = tmp_path / "f.tsv"
    path.write_text(feature_line("b", np.full((1, DIM + 6), 0.5), 1))
    with pytest.raises(DataError, match=r"f\.tsv:1: the size of image 'b' is not known"):
        run_import("oscar_tsv", path, tmp_path / "x.h5", images, feature_dim=DIM)
    run_import("oscar_tsv", path, tmp_path / "x.h5", images, feature_dim=DIM, boxes=False)
    result = ItemFeatures(
        features=np.ones((1, DIM)), boxes=np.ones((1, 4)), scores=np.ones(1), labels=np.zeros(1)
    )
    store = write_store(tmp_path / "y.h5", images, {"b": result}, OUTPUTS)
    with pytest.raises(StoreError, match="size of image 'b' is not known"):
        run_export("oscar_tsv", store, tmp_path / "feature.tsv", images, feature_dim=DIM)


GOOD = feature_line("a", np.ones((1, DIM)), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b\t2\n", ":2: expected a JSON object"),
        ("b\n", ":2: expected two or three columns"),
        ("b\tx\tAAAA\n", ":2: expected a number of boxes, got 'x'"),
        ("b\t-1\tAAAA\n", ":2: expected a number of boxes"),
        ("b\t99999999999\tAAAA\n", ":2: expected a number of boxes"),
        ("b\t1\tAAAA\n", r":2: expected 1 boxes of 10 or 4 float32, got 3 bytes"),
        ("b\t0\tAAAA\n", ":2: no boxes, but 4 characters"),
        ("b\t1\t" + "!" * 22 + "==\n", ":2: features: not base64"),
        ('b\t{"num_boxes": true, "features": ""}\n', ":2: num_boxes: expected a whole number"),
        ('b\t{"num_boxes": 1}\n', ":2: features: expected a string"),
        (feature_line("b", np.full((1, DIM), np.nan), 1), ":2: features: a value is NaN"),
        (feature_line("b", np.ones((1, DIM + 6)), 1), ":2: 10 values a box, other lines"),
        (GOOD, ":2: key 'a' was already"),
        ('b\t[{"class": "x", "rect": [0, 0, 1]}]\n', r":2: \[0\]: rect: expected four"),
        ('b\t[{"rect": [0, 0, 1, 1]}]\n', r":2: \[0\]: class: expected a string"),
        ('b\t[{"class": "", "rect": [0, 0, 1, 1]}]\n', r":2: \[0\]: class is empty"),
        ('b\t[{"class": "x", "rect": [0, 0, 1, 1], "conf": "1"}]\n', r":2: \[0\]: conf: exp"),
        ("b\t[7]\n", r":2: \[0\]: expected a JSON object"),
    ],
)
def test_broken_lines_are_refused(tmp_path, text, message):
    path = tmp_path / "f.tsv"
    path.write_text(GOOD + text)
    with pytest.raises(DataError, match=rf"f\.tsv{message}"):
        run_import("oscar_tsv", path, tmp_path / "x.h5", IMAGES, feature_dim=DIM)


def test_a_file_of_nothing_is_refused(tmp_path):
    (tmp_path / "f.tsv").write_text("\n")
    with pytest.raises(DataError, match=r"f\.tsv: holds neither"):
        run_import("oscar_tsv", tmp_path / "f.tsv", tmp_path / "x.h5", IMAGES)


def test_what_cannot_be_exported(tmp_path):
    store = region_store(tmp_path / "a.h5")
    with pytest.raises(ConfigError, match=r"ending in feature\.tsv"):
        run_export("oscar_tsv", store, tmp_path / "x.tsv", IMAGES, feature_dim=DIM)
    with pytest.raises(StoreError, match="have 4 values, not 2048"):
        run_export("oscar_tsv", store, tmp_path / "feature.tsv", IMAGES)
    images = [image("b")]
    plain = write_store(
        tmp_path / "p.h5", images, {"b": ItemFeatures(features=np.ones((1, DIM)))},
        Outputs(feature_dim=DIM, feature_dtype="float32"),
    )  # fmt: skip
    with pytest.raises(StoreError, match="has no boxes"):
        run_export("oscar_tsv", plain, tmp_path / "feature.tsv", images, feature_dim=DIM)
    run_export(
        "oscar_tsv", plain, tmp_path / "feature.tsv", images, feature_dim=DIM, geometry=False
    )
    assert not (tmp_path / "label.tsv").exists()
    run_import("oscar_tsv", tmp_path / "feature.tsv", tmp_path / "q.h5", images, feature_dim=DIM)
    assert rows_of(tmp_path / "q.h5") == rows_of(plain)
