"""Caption lists and Oscar's caption TSV: what survives a round trip, and what does not."""

import json
import math

import numpy as np
import pytest

from extract.core.errors import DataError, StoreError
from extract.store import FeatureStore
from extract.tables.caption_lists import caption_line, read_caption_list
from extract.tables.rows import ItemFeatures, Outputs, nothing_found
from tests.builders.extract.interop_files import image, rows_of, run_export, run_import, write_store

IMAGES = [image(i) for i in ("a.png", "none", "gone", "17_06_1", "日本")]
OUTPUTS = Outputs(text=True, scores=True)
TEXTS = {
    "a.png": ["a dog", "a time :ten o'clock", "a  dog\twith tabs"],
    "17_06_1": ["é \u2028 ✓"],
    "日本": ["same", "same"],
}


def caption_store(path, texts=TEXTS, scores=None):
    results = {
        image_id: ItemFeatures(
            text=of_image,
            scores=np.full(len(of_image), np.nan, np.float32)
            if scores is None
            else np.array(scores[: len(of_image)], np.float32),
        )
        for image_id, of_image in texts.items()
    }
    return write_store(
        path, IMAGES, {**results, "none": nothing_found("no caption", OUTPUTS)}, OUTPUTS
    )


# `name.jpg :caption`.


def test_a_list_keeps_captions_and_their_order(tmp_path):
    store = caption_store(tmp_path / "a.h5")
    counts = run_export("caption_list", store, tmp_path / "c.txt", IMAGES)
    assert counts == {"captions": 6, "left_out": 2}
    assert (tmp_path / "c.txt").read_text().splitlines()[0] == "a.png :a dog"
    assert "\n17_06_1.jpg :" in (tmp_path / "c.txt").read_text()
    run_import("caption_list", tmp_path / "c.txt", tmp_path / "b.h5", IMAGES)
    before, after = rows_of(store), rows_of(tmp_path / "b.h5")
    # A list cannot say that nothing was found.
    assert after.pop("none")["status"] == 1 and before.pop("none")["status"] == 3
    assert after == before


def test_what_a_list_loses(tmp_path):
    texts = {"a.png": [" two\r\nlines\n", "", "  "]}
    store = caption_store(tmp_path / "a.h5", texts, scores=[-1, -2, -3])
    run_export("caption_list", store, tmp_path / "c.txt", IMAGES)
    run_import("caption_list", tmp_path / "c.txt", tmp_path / "b.h5", IMAGES)
    with FeatureStore(tmp_path / "b.h5") as opened:
        item = opened.item("a.png")
    assert item.text == ("two lines",) and np.isnan(item.scores).all()


def test_the_real_lists_survive_both_ways(tmp_path, shared_data):
    source = shared_data / "twitter2017" / "captions_blip2.txt"
    captions = read_caption_list(source)
    images = [image(name) for name in captions]
    counts = run_import("caption_list", source, tmp_path / "a.h5", images)
    assert counts["status"]["ok"] == 4819 and counts["surplus_keys"] == 0
    run_export("caption_list", tmp_path / "a.h5", tmp_path / "c.txt", images)
    assert (tmp_path / "c.txt").read_text().splitlines() == [
        line.strip() for line in source.read_text().splitlines()
    ]


@pytest.mark.parametrize("name", ["", " a.jpg", "a :b.jpg", "a\nb.jpg"])
def test_names_that_a_list_would_change_are_refused(name):
    with pytest.raises(DataError, match="cannot stand in a caption list"):
        caption_line(name, "x")


def test_a_store_without_text_is_no_caption_store(tmp_path):
    images = [image("a")]
    result = {"a": ItemFeatures(features=np.ones((1, 2)))}
    store = write_store(tmp_path / "a.h5", images, result, Outputs(feature_dim=2))
    for kind in ("caption_list", "captions_tsv"):
        with pytest.raises(StoreError, match="has no captions"):
            run_export(kind, store, tmp_path / "c.txt", images)


# Oscar's TSV.


@pytest.mark.parametrize("scores", ["log_probability", "as_is"])
def test_a_tsv_keeps_everything_to_the_last_bit(tmp_path, scores):
    values = [-1 / 3, -20.7, -1e-7, 0.0, np.nan]
    texts = {"a.png": [f"caption {i} \n\t✓ 'quoted\"" for i in range(5)], "日本": ["", " x "]}
    store = caption_store(tmp_path / "a.h5", texts, values)
    counts = run_export("captions_tsv", store, tmp_path / "c.tsv", IMAGES, scores=scores)
    assert counts == {"lines": 3, "left_out": 2, "captions": 7}
    run_import("captions_tsv", tmp_path / "c.tsv", tmp_path / "b.h5", IMAGES, scores=scores)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)
    assert (tmp_path / "c.lineidx").is_file()


def test_log_probabilities_of_any_size_come_back(tmp_path):
    rng = np.random.default_rng(3)
    values = -np.exp(rng.uniform(-14, 6, 5000)).astype(np.float32)
    store = caption_store(tmp_path / "a.h5", {"日本": ["x"] * 5000}, values)
    run_export("captions_tsv", store, tmp_path / "c.tsv", IMAGES)
    run_import("captions_tsv", tmp_path / "c.tsv", tmp_path / "b.h5", IMAGES)
    assert rows_of(tmp_path / "b.h5")["日本"] == rows_of(store)["日本"]


def test_conf_is_a_probability(tmp_path):
    store = caption_store(tmp_path / "a.h5", {"a.png": ["x"]}, [-1.0])
    run_export("captions_tsv", store, tmp_path / "c.tsv", IMAGES)
    key, text = (tmp_path / "c.tsv").read_text().splitlines()[0].split("\t")
    assert key == "a.png"
    assert json.loads(text) == [{"caption": "x", "conf": pytest.approx(math.exp(-1))}]


def test_captions_of_a_training_file_have_no_score(tmp_path):
    (tmp_path / "c.tsv").write_text('a\t[{"caption": "x"}, {"caption": "y", "conf": 0.5}]\nb\t[]\n')
    run_import("captions_tsv", tmp_path / "c.tsv", tmp_path / "b.h5", [image("a"), image("b")])
    with FeatureStore(tmp_path / "b.h5") as store:
        scores = store.item("a").scores
        assert np.isnan(scores[0]) and scores[1] == np.float32(math.log(0.5))
        assert store.item("b").reason == "no caption in the file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "expected key TAB JSON"),
        ("a\t{}\n", "expected a JSON list"),
        ("a\t[7]\n", r"\[0\]: expected a JSON object"),
        ("a\t[{}]\n", r"\[0\]: caption: expected a string"),
        ('a\t[{"caption": "x", "conf": "1"}]\n', "conf: expected a number"),
        ('a\t[{"caption": "x", "conf": 0}]\n', 'conf: 0 is no probability.*"as_is"'),
        ('a\t[{"caption": "x", "conf": NaN}]\n', "not JSON"),
        ("a\t[]\na\t[]\n", "was already in"),
    ],
)
def test_broken_lines_are_refused(tmp_path, text, message):
    (tmp_path / "c.tsv").write_text(text)
    with pytest.raises(DataError, match=rf"c\.tsv:\d: .*{message}"):
        run_import("captions_tsv", tmp_path / "c.tsv", tmp_path / "b.h5", IMAGES)


@pytest.mark.parametrize("score", [-1000.0, 100.0, math.inf, -math.inf])
def test_scores_that_are_no_log_probabilities(tmp_path, score):
    store = caption_store(tmp_path / "a.h5", {"a.png": ["x"]}, [score])
    with pytest.raises(StoreError, match="no log-probability"):
        run_export("captions_tsv", store, tmp_path / "c.tsv", IMAGES)
