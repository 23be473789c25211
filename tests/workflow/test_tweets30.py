"""Thirty real tweets with their photos go through every stage of preprocessing."""

import json
import shutil
from pathlib import Path

import pytest

from extract.manifest import iter_jsonl
from extract.store import FeatureStore
from tests.unit.extract.tiny_yolo_world import write_tiny_detector
from tests.workflow.workspace import Workspace

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

SETTINGS = {
    "run": {
        "datasets": ["tweets30"],
        "feature_sets": [
            "drawn_boxes",
            "world_boxes",
            "vgg16_random",
            "clip_tiny_grid",
            "pixels_224",
            "photo_crops_128",
            "captions",
            "ocr_sparse",
        ],
        "models": [],
    },
    "datasets": {
        "tweets30": {
            "reader": "conll_imgid",
            "root": "data/tweets30",
            "images": "data/tweets30/images",
            "captions": "data/tweets30/captions.txt",
            "annotations": "data/boxes",
            "max_bad_images": 0.0,
        }
    },
    "weights": {
        "tiny_world": {"path": "weights/tiny-worldv2.pt"},
        "tiny_text": {
            "random": {
                "config": {
                    "kind": "clip_text",
                    "hidden_size": 32,
                    "intermediate_size": 64,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "projection_dim": 512,
                },
                "seed": 1,
            }
        },
        "vgg16_layers": {"random": {"config": {"kind": "vgg", "layers": "vgg16"}, "seed": 1}},
    },
    "phrases": {"nltk": {"extractor": "nltk"}},
    "feature_sets": {
        "drawn_boxes": {"extractor": "annotations", "phrases": "nltk"},
        "world_boxes": {
            "extractor": "yolo_world",
            "phrases": "nltk",
            "weights": {"detector": "tiny_world", "text": "tiny_text"},
            "options": {"threshold": 0.0, "boxes_per_phrase": 1},
        },
        "vgg16_random": {"extractor": "vgg", "weights": {"vision": "vgg16_layers"}},
        "photo_crops_128": {
            "extractor": "pixels",
            "boxes": "drawn_boxes",
            "options": {"of": "crops", "size": 128},
        },
        "ocr_sparse": {"extractor": "ocr", "options": {"psm": 11}},
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shared_data, repo_root) -> Path:
    """The folder of one full run."""
    pytest.importorskip("ultralytics")
    if shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed")
    folder = tmp_path_factory.mktemp("tweets30")
    shutil.copytree(shared_data / "tweets30", folder / "data" / "tweets30")
    shutil.copytree(repo_root / "tests" / "data" / "tweets30", folder / "data" / "boxes")
    (folder / "weights").mkdir()
    write_tiny_detector(folder / "weights" / "tiny-worldv2.pt")
    workspace = Workspace(folder, repo_root)
    workspace.overlay(SETTINGS)
    done = workspace.snakemake(
        "--cores", "2", env={"NLTK_DATA": str(shared_data / "nltk_data")}
    )  # fmt: skip
    assert done.returncode == 0, done.output[-3000:]
    return folder / "results" / "tweets30"


def test_every_photo_is_read(finished):
    stats = json.loads((finished / "stats.json").read_text())
    assert sum(split["tweets"] for split in stats.values()) == 30
    assert sum(split["images"].get("ok", 0) for split in stats.values()) == 30


def test_nearly_every_tweet_has_a_phrase_and_the_rest_are_listed(finished):
    found = {r["id"]: r["phrases"] for _, r in iter_jsonl(finished / "phrases" / "nltk.jsonl")}
    assert len(found) == 30
    assert sum(bool(phrases) for phrases in found.values()) >= 28


def test_text_is_found_in_photos(finished):
    with FeatureStore(finished / "features" / "ocr_sparse.h5") as store:
        with_word = [
            image_id
            for image_id, item in store.items()
            if any(
                len(word) >= 2 and word.isalpha() and score >= 0.6
                for word, score in zip(item.text, item.scores, strict=True)
            )
        ]
    assert len(with_word) >= 8


def test_drawn_boxes_become_crops(finished):
    rows = [row for _, row in iter_jsonl(finished / "crops" / "drawn_boxes" / "crops.jsonl")]
    assert len({row["image_id"] for row in rows if row["crop"]}) == 10
    folder = finished / "crops" / "drawn_boxes"
    assert all((folder / row["crop"]).is_file() for row in rows if row["crop"])


def test_a_random_detector_gives_a_box_for_each_phrase(finished):
    with FeatureStore(finished / "features" / "world_boxes.h5") as store:
        assert store.status_counts()["ok"] >= 28
        for _, item in store.items():
            assert len(set(item.text)) == len(item.text)


def test_every_store_is_verified(finished):
    reports = sorted(path.stem for path in (finished / "qc").glob("*.json"))
    assert reports == sorted(SETTINGS["run"]["feature_sets"])
