"""A corpus whose test tweets stand in valid: audited, and not trained on."""

import json
import shutil

import pytest

from tests.workflow.workspace import Workspace

ONLY_TEXT = {
    "run": {
        "models": ["tiny_text_crf"],
        "feature_sets": ["tiny_captions"],
        "exports": [],
    },
    "datasets": {"tiny": {"max_bad_images": 0.5}},
}


@pytest.mark.slow
def test_a_bundle_whose_test_is_its_valid_is_audited_and_not_trained_on(fresh: Workspace):
    fresh.overlay(ONLY_TEXT)
    corpus, results = fresh.folder / "data/tiny", fresh.folder / "results/tiny"
    held_out = (corpus / "test.txt").read_bytes()
    shutil.copy(corpus / "dev.txt", corpus / "test.txt")
    made = fresh.snakemake("--cores", "2", "audit", "features")
    assert made.returncode == 0, made.output
    before = fresh.files()
    audit = json.loads((results / "audit.json").read_text(encoding="utf-8"))
    assert audit["corpus"] == {
        "folder": "data/tiny",
        "kind": "split files",
        "reader": "conll_imgid",
        "splits": ["train", "valid", "test"],
        "absent": [],
    }
    assert "<h1>Audit of data/tiny" in (results / "audit.html").read_text(encoding="utf-8")

    refused = fresh.snakemake("--cores", "2", "train")
    assert refused.returncode != 0 and "fit" not in refused.jobs
    message = refused.output[refused.output.rindex("\nerror: ") :]
    assert "splits overlap, at most 2.00% is allowed" in message
    assert "2 of 2 tweets of test (100.00%) stand in valid: the same tweets" in message
    assert "  test-00000: valid-00000" in message
    assert refused.last_line.endswith("The whole list: `overlap` in results/tiny/audit.json.")
    assert not list(results.rglob("model.safetensors"))
    after = fresh.files()
    assert {path: after[path] for path in before} == before

    (corpus / "test.txt").write_bytes(held_out)
    allowed = fresh.snakemake("--cores", "2", "results/tiny/overlap.json")
    assert allowed.returncode == 0, allowed.output
    # A training waits for that file, and now has it.
    jobs = fresh.plan("train")
    assert "fit" in jobs and "check_overlap" not in jobs
    shares = json.loads((results / "overlap.json").read_text(encoding="utf-8"))
    assert shares["max_overlap"] == 0.02 and [p["tweets"] for p in shares["overlap"]] == [0, 0, 0]


def test_another_limit_trains_nothing_again(workspace: Workspace):
    workspace.overlay({"datasets": {"tiny": {"max_overlap": 0.5}}})
    jobs = workspace.plan()
    assert set(jobs) == {"check_overlap"}
