"""Every stage of the tiny corpus, run once, and what a second run and a report make of it."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from extract.store import FeatureStore

READABLE, MISSING, UNREADABLE = 8, 1, 1
HAS_TESSERACT = shutil.which("tesseract") is not None


@pytest.fixture(scope="module")
def results(finished_run: Path) -> Path:
    return finished_run / "results"


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_counts_of_the_corpus_are_those_of_its_generator(results):
    stats = read_json(results / "tiny" / "stats.json")
    assert {split: counts["tweets"] for split, counts in stats.items()} == {
        "train": 6,
        "valid": 2,
        "test": 4,
    }
    assert stats["train"]["images"] == {"ok": 4, "missing": 1}
    assert stats["valid"]["images"] == {"ok": 1, "unreadable": 1}
    assert stats["train"]["orphan_i"] == 1
    assert stats["train"]["types"] == {"LOC": 3, "MISC": 2, "ORG": 2, "PER": 3}


def test_the_no_break_space_and_string_ids_survive(results):
    lines = (results / "tiny" / "samples" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    assert "\u00a0" in samples[5]["tokens"]
    assert [sample["image_id"] for sample in samples[:4]] == [
        "17_06_1",
        "17_06_1",
        "O_3993",
        "img.v2",
    ]


@pytest.mark.parametrize(
    ("name", "n_rows_of"),
    [
        ("tiny_boxes", {"17_06_1": 2, "240": 1, "test_3": 1, "O_3993": 0}),
        ("tiny_random", {"17_06_1": 1, "test_2": 1}),
        ("tiny_pixels", {"17_06_1": 1, "test_2": 1}),
        ("tiny_crops", {"17_06_1": 2, "240": 1, "O_3993": 0}),
        ("tiny_vgg", {"17_06_1": 4, "O_3993": 4}),
        ("tiny_captions", {"17_06_1": 1, "240": 2}),
    ],
)
def test_store_holds_every_image_and_masks_the_bad_ones(results, name, n_rows_of):
    with FeatureStore(results / "tiny" / "features" / f"{name}.h5") as store:
        assert len(store) == READABLE + MISSING + UNREADABLE
        assert {image_id: store.item(image_id).n_rows for image_id in n_rows_of} == n_rows_of
        if name != "tiny_captions":  # captions are read from a list, not from the image
            assert (store.item("gone").status, store.item("broken").status) == (1, 2)
    report = read_json(results / "tiny" / "qc" / f"{name}.json")
    assert report["items"] == READABLE + MISSING + UNREADABLE
    assert report["stale_partials"] == []


@pytest.mark.skipif(not HAS_TESSERACT, reason="tesseract is not installed")
def test_ocr_reads_the_signs(results):
    with FeatureStore(results / "tiny" / "features" / "tiny_ocr.h5") as store:
        assert store.item("img.v2").text == ("TORVIK",)
        assert store.item("test_2").text == ("BRIDGE",)


def test_an_imported_list_is_the_same_captions(results):
    folder = results / "tiny" / "features"
    with (
        FeatureStore(folder / "foreign_captions.h5") as imported,
        FeatureStore(folder / "tiny_captions.h5") as computed,
    ):
        assert imported.ids == computed.ids
        for image_id in computed.ids:
            assert imported.item(image_id).text == computed.item(image_id).text


def test_degradation_counts_the_missing_and_the_broken_image(results):
    with (results / "tiny" / "degradation.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    counts = {
        (row["split"], row["problem"]): int(row["count"])
        for row in rows
        if row["source"] == "images" and row["unit"] == "images" and not row["reason"]
    }
    assert (counts["train", "missing"], counts["valid", "unreadable"]) == (1, 1)
    with (results / "tiny" / "degradation_ids.tsv").open(encoding="utf-8", newline="") as file:
        listed = {(row["problem"], row["image_id"]) for row in csv.DictReader(file, delimiter="\t")}
    assert {("missing", "gone"), ("unreadable", "broken")} <= listed


def test_exports_are_folders_of_their_projects(results):
    exports = results / "tiny" / "exports"
    hvpnet = exports / "tiny_hvpnet" / "data" / "NER_data"
    assert (hvpnet / "twitter2015" / "train.txt").is_file()
    assert (hvpnet / "twitter2015" / "twitter2015_train_dict.pth").is_file()
    assert read_json(exports / "tiny_hvpnet" / "EXPORT.json")["missing_images"]
    assert (exports / "tiny_ita" / "tiny" / "dev.txt").is_file()


def test_crops_and_dictionaries_name_the_same_files(results):
    folder = results / "tiny" / "crops" / "tiny_boxes"
    train = read_json(folder / "train_dict.json")
    assert train["17_06_1.jpg"] == [
        "17_06_1_pred_yolo_crop_0.png",
        "17_06_1_pred_yolo_crop_1.png",
    ]
    assert train["gone.jpg"] == []
    named = [
        name
        for split in ("train", "valid", "test")
        for names in read_json(folder / f"{split}_dict.json").values()
        for name in names
    ]
    assert sorted(named) == sorted(path.name for path in folder.glob("*.png"))


def test_every_model_is_trained_scored_and_summarized(results):
    with (results / "summary.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    headline = {(row["system"], row["variant"]) for row in rows if row["slice"] == "all"}
    assert headline == {
        ("text_crf", "main"),
        ("acn", "main"),
        ("ita", "main"),
        ("ita", "text_view"),
        ("ita", "without_captions"),
    }
    kinds = {"all", "words", "picture", "ocr", "with_image"}
    assert {row["slice"] for row in rows} - {"with_handle", "without_handle"} == kinds
    for row in rows:
        assert row["n_seeds"] == "1"
        assert 0 <= float(row["f1_mean"]) <= 100
    for run in ("tiny_text_crf", "tiny_acn", "tiny_ita", "tiny_ita-without_captions"):
        predicted = (results / "tiny" / "runs" / run / "seed1" / "predictions.conll").read_text()
        assert predicted.count("IMGID:") == 4


def test_no_shard_and_no_absolute_path_is_left(results, finished_run):
    assert not list((results / "tiny").glob("shards/*.h5*"))
    machine = str(finished_run).encode()
    telling = [
        path for path in results.rglob("*") if path.is_file() and machine in path.read_bytes()
    ]
    assert telling == []


def test_every_log_is_in_its_place(finished_run):
    logs = {path.name for path in (finished_run / "logs").rglob("*.log")}
    assert {"prepare_dataset.log", "extract_features.tiny_vgg.2-of-2.log"} <= logs
    assert {"fit.tiny_ita.seed1.log", "draw_report.log"} <= logs
    times = list((finished_run / "benchmarks").rglob("fit.*.tsv"))
    assert len(times) == 4


def test_a_second_run_does_nothing(workspace):
    before = workspace.files()
    result = workspace.snakemake("--cores", "2")
    assert result.returncode == 0, result.output
    assert result.has_nothing_to_do
    assert workspace.files() == before


def test_report_page_shows_the_reported_files(workspace):
    result = workspace.snakemake("--cores", "1", "--report", "report.html")
    assert result.returncode == 0, result.output
    page = (workspace.folder / "report.html").read_text(encoding="utf-8")
    shown = ("results/summary.tsv", "report/report.html", "f1_by_slice.png", "qc/tiny_vgg.json")
    for name in (*shown, "stats.json"):
        assert name in page
