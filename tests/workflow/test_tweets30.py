"""Thirty real tweets with their photos go through every stage of preprocessing."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from extract.core.registry import available
from extract.store import FeatureStore
from extract.tables.text_lines import iter_jsonl
from tests.builders.extract.tiny_faster_rcnn import write_detector
from tests.builders.extract.tiny_grounding_dino import SHORTEST_EDGE, write_tiny_grounding_dino
from tests.builders.extract.tiny_yolo_world import write_tiny_detector
from tests.workflow.workspace import Workspace

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def random(kind: str, **config) -> dict:
    """Return a weights entry."""
    return {"random": {"config": {"kind": kind, **config}, "seed": 1}}


CLIP_FULL = {
    "vision": {**TINY, "image_size": 32, "patch_size": 8},
    "text": TINY,
    "projection_dim": 16,
}

# One of every grounder and extractor, and every layout.
SETTINGS = {
    "run": {
        "datasets": ["tweets30"],
        "feature_sets": [
            "drawn_boxes",
            "world_boxes",
            "dino_boxes",
            "coco_boxes",
            "vgg16_random",
            "clip_tiny_grid",
            "clip_tiny_global",
            "pixels_224",
            "photo_crops_128",
            "photo_regions",
            "captions",
            "told_captions",
            "ocr_sparse",
            "noise",
        ],
        "exports": ["hvpnet", "deepke", "vec_mner", "co_mipn", "umgf", "ita", "adaseq"],
        "models": [],
    },
    "sheets": {"images": 30},
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
        "tiny_dino": {"path": "weights/tiny_dino"},
        "tiny_rcnn": {"path": "weights/tiny_rcnn"},
        "tiny_text": random("clip_text", **TINY, projection_dim=512),
        "tiny_both": random("clip_full", **CLIP_FULL),
        "tiny_trunk": random("resnet", layers=[1, 1, 1, 1], width_per_group=4),
        "tiny_blip": random("blip", vision={**TINY, "image_size": 64}, text=TINY),
        "vgg16_layers": random("vgg", layers="vgg16"),
    },
    "phrases": {"nltk": {"extractor": "nltk"}, "types": {"extractor": "type_words"}},
    "feature_sets": {
        "drawn_boxes": {"extractor": "annotations", "phrases": "nltk"},
        "world_boxes": {
            "extractor": "yolo_world",
            "phrases": "nltk",
            "weights": {"detector": "tiny_world", "text": "tiny_text"},
            "options": {"threshold": 0.0, "boxes_per_phrase": 1},
        },
        "type_boxes": {
            "extractor": "yolo_world",
            "phrases": "types",
            "weights": {"detector": "tiny_world", "text": "tiny_text"},
            "options": {"threshold": 0.0, "boxes_per_phrase": 1},
        },
        "dino_boxes": {
            "extractor": "grounding_dino",
            "phrases": "nltk",
            "weights": {"detector": "tiny_dino"},
            "options": {"threshold": 0.0, "shortest_edge": SHORTEST_EDGE, "longest_edge": 160},
        },
        "coco_boxes": {
            "extractor": "faster_rcnn",
            "weights": {"detector": "tiny_rcnn"},
            "options": {"threshold": 0.0, "boxes_per_image": 3, "min_size": 160, "max_size": 240},
        },
        "vgg16_random": {"extractor": "vgg", "weights": {"vision": "vgg16_layers"}},
        "photo_crops_128": {
            "extractor": "pixels",
            "boxes": "drawn_boxes",
            "options": {"of": "crops", "size": 128},
        },
        "photo_regions": {
            "extractor": "regions",
            "weights": {"detector": "tiny_rcnn", "trunk": "tiny_trunk", "clip": "tiny_both"},
            "options": {
                "detector_min_size": 160,
                "detector_max_size": 240,
                "shorter_side": 160,
                "longer_side": 240,
                "max_regions": 12,
            },
        },
        "told_captions": {
            "extractor": "caption",
            "weights": {"captioner": "tiny_blip"},
            "options": {"num_captions": 2, "num_beams": 2, "max_new_tokens": 5},
        },
        "ocr_sparse": {"extractor": "ocr", "options": {"psm": 11}},
        "noise": {"extractor": "random"},
    },
    "exports": {
        "hvpnet": {"layout": "hvpnet", "name": "twitter2017", "crops": "drawn_boxes"},
        "deepke": {
            "layout": "deepke",
            "name": "twitter2017",
            "crops": "world_boxes",
            "detector_crops": "coco_boxes",
        },
        "vec_mner": {
            "layout": "vec_mner",
            "name": "twitter2017",
            "crops": "world_boxes",
            "detector_crops": "coco_boxes",
        },
        "co_mipn": {"layout": "co_mipn", "name": "twitter2017", "crops": "dino_boxes"},
        "umgf": {"layout": "umgf", "name": "twitter2017", "crops": "type_boxes"},
        "ita": {
            "layout": "ita",
            "stores": {"captions": "captions", "objects": "photo_regions", "ocr": "ocr_sparse"},
        },
        "adaseq": {"layout": "adaseq", "stores": {"captions": "captions"}},
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
    write_tiny_grounding_dino(folder / "weights" / "tiny_dino")
    write_detector(folder / "weights" / "tiny_rcnn")
    workspace = Workspace(folder, repo_root)
    workspace.overlay(SETTINGS)
    nltk = {"NLTK_DATA": str(shared_data / "nltk_data")}
    # Two minutes on two idle cores.
    done = workspace.snakemake("--cores", "2", "all", "contact_sheets", env=nltk, timeout=1800)
    assert done.returncode == 0, done.output[-3000:]
    return folder / "results" / "tweets30"


def test_every_extractor_grounder_and_layout_has_its_turn():
    used = {SETTINGS["feature_sets"].get(n, {}).get("extractor") for n in SETTINGS["feature_sets"]}
    used |= {"clip", "caption_list"}  # of the default config
    assert used == {*available("extract.grounding"), *available("extract.extractors")}
    layouts = {entry["layout"] for entry in SETTINGS["exports"].values()}
    assert layouts == set(available("extract.interop.layouts"))


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
    assert reports == sorted([*SETTINGS["run"]["feature_sets"], "type_boxes"])


def test_each_image_is_on_a_sheet(finished):
    lines = (finished / "sheets" / "sheets.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 31
    assert len(list((finished / "sheets").glob("sheet_*.png"))) == 3


def test_what_is_missing_is_counted_with_its_ids(finished):
    with (finished / "degradation.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    whole = {
        (r["split"], r["source"], r["problem"], r["unit"]): int(r["count"])
        for r in rows
        if not r["reason"]
    }
    splits = ("train", "valid", "test")
    assert sum(whole[split, "images", "missing", "images"] for split in splits) == 0
    # Boxes were drawn on ten of the photos.
    assert sum(whole[split, "grounding/drawn_boxes", "no_box", "images"] for split in splits) == 20


def test_every_export_is_complete(finished):
    folders = sorted(path.parent.name for path in finished.glob("exports/*/EXPORT.json"))
    assert folders == sorted(SETTINGS["exports"])
