"""Runs whose errors are known one by one, with texts that try to become markup."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.tables.samples import Sample, write_samples
from train.comparing.intervals import IntervalRow, interval_rows
from train.comparing.results import read_results
from train.comparing.results_table import ResultRow, result_rows
from train.comparing.summary import SummaryRow, summary_rows
from train.comparing.tables import write_table
from train.measures.metrics import score_slices
from train.measures.predictions import write_predictions
from train.report.build import ReportJob

HOSTILE = "</script><img src=x onerror=alert(1)>"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""

SAMPLES = [
    Sample("t0", "0", ["Ann", "Lee", "in", "Rome"], ["B-PER", "I-PER", "O", "B-LOC"], "words"),
    Sample("t1", "1", ["@ann", HOSTILE], ["B-PER", "B-ORG"], "picture"),
    Sample("t2", "2", ["@", "Bob"], ["O", "B-PER"], "picture"),
]
FIRST = [
    # A wrong boundary; a wrong type.
    ["B-PER", "O", "O", "B-ORG"],
    # Missed: both.
    ["O", "O"],
    # Spurious: one.
    ["B-MISC", "B-PER"],
]
SECOND = [
    list(SAMPLES[0].tags or []),
    # One right, one missed.
    ["B-PER", "O"],
    list(SAMPLES[2].tags or []),
]


def write_tagged(
    root: Path,
    system: str,
    tags: list[list[str]],
    variant: str = "main",
    *,
    run: str = "",
    samples: list[Sample] = SAMPLES,
) -> Path:
    """Write a finished and evaluated run; return the path of its metrics.json."""
    run = run or f"{system}_{variant}"
    folder = root / run / "seed1"
    folder.mkdir(parents=True)
    write_predictions(folder / "predictions.conll", samples, tags)
    metrics = {
        "dataset": "toy",
        "run": run,
        "system": system,
        "variant": variant,
        "seed": 1,
        "headline_view": "main",
        "views": {"main": score_slices(samples, tags, {("Rome", "LOC")}, {"0"})},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    line = json.dumps({"epoch": 1, "loss": 1.0, "score": 50.0})
    (folder / "metrics.jsonl").write_text(line + "\n", encoding="utf-8")
    return folder / "metrics.json"


def gallery_record(image_id: str, **changes: Any) -> dict[str, Any]:
    """Return what `extract gallery` writes of one image."""
    record = {
        "image_id": image_id,
        "path": f"images/{image_id}.jpg",
        "status": "ok",
        "reason": "",
        "size": [10, 20],
        "thumbnail": PIXEL,
        "boxes": {"yolo": [{"box": [0.0, 0.0, 10.0, 5.0], "text": "Ann Lee", "score": 0.5}]},
        "captions": {"blip": [f"a man {HOSTILE}"]},
        "ocr": {"words": [{"text": "EXIT", "score": None}]},
        "notes": {},
    }
    return record | changes


def make_job(root: Path) -> ReportJob:
    """Write two runs, their tables, samples and a gallery; return the job of their report."""
    paths = [write_tagged(root, "ita", FIRST), write_tagged(root, "text_crf", SECOND)]
    job = tabulated_job(root, paths)
    write_samples(root / "test.jsonl", SAMPLES)
    gone = {"status": "missing", "reason": "no such file", "thumbnail": None, "boxes": {}}
    records = [gallery_record("0"), gallery_record("1", **gone), gallery_record("2")]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (root / "gallery.jsonl").write_text(lines, encoding="utf-8")
    return replace(
        job,
        samples={"toy": root / "test.jsonl"},
        galleries={"toy": root / "gallery.jsonl"},
    )


def tabulated_job(root: Path, paths: list[Path]) -> ReportJob:
    """Write the tables of runs; return the job of a report of these alone."""
    groups = read_results(paths)
    write_table(root / "summary.tsv", SummaryRow, summary_rows(groups))
    gaps = interval_rows(groups, 50)
    write_table(root / "intervals.tsv", IntervalRow, gaps)
    beside = {"published_f1": 81.5, "published_source": f"Some {HOSTILE}", "comparable": "no: tiny"}
    rows = [replace(row, **beside) for row in result_rows(groups, gaps)]
    write_table(root / "table.tsv", ResultRow, rows)
    return ReportJob(
        summary=root / "summary.tsv",
        intervals=root / "intervals.tsv",
        table=root / "table.tsv",
        metrics=paths,
        out=root / "report",
    )
