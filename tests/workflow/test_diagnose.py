"""The target `diagnose`: kept epochs scored on test, apart from every result."""

import csv
import json

import pytest

from tests.workflow.workspace import Workspace

RUN = "results/tiny/runs/tiny_text_crf/seed1"
TABLE = "results/diagnostics/best_test.tsv"


@pytest.mark.slow
def test_kept_epochs_are_diagnosed_and_stay_out_of_the_results(workspace: Workspace):
    before = workspace.files()
    result = workspace.snakemake("--cores", "2", "diagnose")
    assert result.returncode == 0, result.output
    assert result.jobs == {
        "diagnose_run": [f"{RUN}/best_test.json"],
        "tabulate_diagnoses": [TABLE],
        "diagnose": ["diagnose"],
    }
    found = json.loads((workspace.folder / RUN / "best_test.json").read_text(encoding="utf-8"))
    assert found["diagnostic"] is True and [line["epoch"] for line in found["epochs"]] == [1, 2]
    with (workspace.folder / TABLE).open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    assert (row["run"], row["seed"]) == ("tiny_text_crf", "1") and float(row["gap"]) >= 0
    after = workspace.files()
    assert {path: after[path] for path in before} == before
    assert workspace.snakemake("--dry-run").has_nothing_to_do
    # Made anew with the diagnosis in place, the tables of results are the same.
    tables = [workspace.folder / "results" / f"{name}.tsv" for name in ("summary", "intervals")]
    bytes_before = [table.read_bytes() for table in tables]
    paths = [str(table.relative_to(workspace.folder)) for table in tables]
    result = workspace.snakemake(*paths, "--cores", "2", "--forcerun", "summarize")
    assert result.returncode == 0, result.output
    assert "summarize" in result.jobs
    assert [table.read_bytes() for table in tables] == bytes_before


def test_the_wish_to_keep_epochs_is_no_reason_to_train_again(workspace: Workspace):
    workspace.overlay({"models": {"tiny_acn": {"runtime": {"keep_epochs": True}}}})
    assert workspace.snakemake("--dry-run").has_nothing_to_do
    found = "results/tiny/runs/tiny_acn/seed1/best_test.json"
    result = workspace.snakemake("--cores", "2", found)
    assert result.returncode != 0
    assert "the run kept 0 of 2 epochs" in result.last_line
    assert "--forcerun fit" in result.last_line


def test_without_kept_epochs_the_target_says_how_to_keep_them(fresh: Workspace):
    fresh.overlay({"models": {"tiny_text_crf": {"runtime": {"keep_epochs": False}}}})
    result = fresh.snakemake("--dry-run", "diagnose")
    assert result.returncode != 0
    assert "models.<name>.runtime.keep_epochs" in result.last_line
