"""Targets without wildcards, and Snakemake's own lint."""

import re
import shutil

import pytest

from tests.workflow.workspace import Workspace

STORES = {"prepare_dataset", "write_spec", "extract_features", "merge_features"}
BOXES = STORES | {"extract_phrases"}
FEATURES = BOXES | {"make_random_weights"}
SCORED = {"audit_dataset", "check_overlap", "write_run_spec", "fit", "evaluate"}
TRAINED = STORES | SCORED | {"make_random_weights", "cut_weights"}

TARGETS = {
    "dataset": {"prepare_dataset"},
    "audit": {"audit_dataset"},
    "phrases": {"prepare_dataset", "extract_phrases"},
    "grounding": BOXES,
    "crops": BOXES | {"cut_crops"},
    "dictionaries": BOXES | {"cut_crops", "make_dictionary"},
    "features": FEATURES | {"import_features"},
    "captions": STORES | {"import_features"},
    "ocr": STORES,
    "verify": FEATURES | {"import_features", "verify_features"},
    "degradation": FEATURES | {"cut_crops", "import_features", "count_degradation"},
    "contact_sheets": BOXES | {"import_features", "draw_sheets"},
    "exports": BOXES | {"cut_crops", "import_features", "write_export"},
    # The models read no boxes.
    "train": TRAINED,
    # Only the model without features keeps its epochs.
    "diagnose": SCORED - {"evaluate"} | {"prepare_dataset", "diagnose_run", "tabulate_diagnoses"},
    "report": TRAINED | BOXES | {"import_features", "make_gallery", "summarize", "draw_report"},
}
WHEN_ASKED = {"draw_sheets", "diagnose_run", "tabulate_diagnoses"}
"""Rules that are no part of `all`."""
OTHERS = ("ablation", "predict")
"""Targets that need more than the tiny config; their own tests plan them."""


@pytest.mark.parametrize("target", TARGETS)
def test_target_plans_its_stage_and_what_comes_before(fresh, target):
    if target == "ocr" and shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed, so no OCR is selected")
    assert set(fresh.plan(target)) == TARGETS[target] | {target}


def test_without_a_target_everything_is_planned(fresh):
    jobs = fresh.plan()
    assert set(jobs) == set.union(*TARGETS.values()) - WHEN_ASKED | {"all"}
    assert len(jobs["extract_features"]) == 2 * len(jobs["merge_features"])
    stores = len(jobs["merge_features"]) + len(jobs["import_features"])
    assert len(jobs["verify_features"]) == stores


@pytest.mark.parametrize("target", [*TARGETS, *OTHERS])
def test_readme_lists_the_target(repo_root, target):
    assert f"`{target}`" in (repo_root / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cores", "processes", "threads"), [(2, 1, 2), (16, 1, 8), (2, 4, 1), (12, 2, 6)]
)
def test_a_training_computes_with_no_more_threads_than_cores(fresh, cores, processes, threads):
    model = {"processes": processes, "runtime": {"threads": 8}}
    fresh.overlay({"models": {"tiny_text_crf": model}})
    target = "results/tiny/runs/tiny_text_crf/seed1/model.safetensors"
    result = fresh.snakemake("--dry-run", "--printshellcmds", "--cores", str(cores), target)
    assert re.findall(r"train fit .*--threads (\d+) ", result.output) == [str(threads)]
    # Without a file of its own accelerate takes one from the home folder.
    has_settings = "accelerate launch --config_file" in result.output
    assert has_settings == (processes > 1)


def test_features_alone_need_no_model(fresh):
    fresh.overlay({"run": {"models": []}})
    jobs = fresh.plan()
    assert "verify_features" in jobs
    assert not {"fit", "summarize", "draw_report"} & set(jobs)


def test_the_report_waits_for_every_file_of_a_corpus_that_it_reads(fresh):
    output = fresh.snakemake("--dry-run", "report").output
    [block] = re.findall(r"^rule draw_report:\n((?:    .*\n)+)", output, re.MULTILINE)
    inputs = block.partition("    output:")[0]
    for name in ("samples/test.jsonl", "gallery.jsonl", "stats.json", "audit.html"):
        assert f"results/tiny/{name}" in inputs
    # It would build every selected store, also those that no model reads.
    assert "degradation" not in inputs


def test_lint_is_clean(repo_root, tmp_path):
    result = Workspace(tmp_path, repo_root).snakemake("--lint")
    assert result.returncode == 0, result.output
