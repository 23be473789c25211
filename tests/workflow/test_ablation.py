"""The target `ablation` on the tiny corpus: what it trains, writes, repeats and refuses."""

import csv

import pytest
import yaml

from tests.workflow.workspace import Workspace

TABLE = "results/ablations/tiny_parts.tsv"


def settings(folder, **changes) -> dict:
    """Return a table of ITA without any image words, with more switches."""
    text = (folder / "overlay0.yaml").read_text(encoding="utf-8")
    roles = yaml.safe_load(text)["models"]["tiny_ita"]["features"]
    no_words = {"options": {"context": {"use": []}}, "features": dict.fromkeys(roles)}
    switches = {"text_only": no_words}
    return {
        "run": {"ablations": ["tiny_parts"]},
        "ablations": {"tiny_parts": {"model": "tiny_ita", "switches": {**switches, **changes}}},
    }


def of_run(switch: str, file: str) -> str:
    return f"results/tiny/runs/tiny_parts-{switch}/seed1/{file}"


def jobs_of(switch: str) -> dict[str, list[str]]:
    """Return the jobs of a table of which one run is missing."""
    return {
        "write_run_spec": [f"results/specs/runs/tiny_parts-{switch}.json"],
        "fit": [of_run(switch, "model.safetensors")],
        "evaluate": [of_run(switch, "metrics.json")],
        "tabulate_ablation": [TABLE],
        "ablation": ["ablation"],
    }


@pytest.mark.slow
def test_table_is_made_once_and_a_new_or_changed_switch_trains_alone(workspace: Workspace):
    before = workspace.files()
    workspace.overlay(settings(workspace.folder))
    result = workspace.snakemake("--cores", "2", "ablation")
    assert result.returncode == 0, result.output
    # The full model was trained before, and is not trained again.
    assert result.jobs == jobs_of("text_only")
    with (workspace.folder / TABLE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    whole = [row for row in rows if row["slice"] == "all"]
    assert [row["switch"] for row in whole] == ["full", "text_only"]
    assert {row["dataset"] for row in rows} == {"tiny"}
    assert len(rows) > len(whole)
    with (workspace.folder / "results/summary.tsv").open(encoding="utf-8", newline="") as file:
        summary = list(csv.DictReader(file, delimiter="\t"))
    ita = next(row for row in summary if (row["system"], row["variant"]) == ("ita", "main"))
    for name in ("n_seeds", "precision", "recall", "f1_mean", "f1_sd"):
        assert whole[0][name] == ita[name]
    assert whole[0]["delta"] == "" and whole[1]["delta"] != "" and whole[1]["p"] != ""
    page = (workspace.folder / TABLE).with_suffix(".md").read_text(encoding="utf-8")
    assert "| text_only | 1 |" in page

    # Nothing of the other results moved; neither target has anything left to do.
    after = workspace.files()
    assert {path: after[path] for path in before} == before
    assert workspace.snakemake("--dry-run", "ablation").has_nothing_to_do
    assert workspace.snakemake("--dry-run").has_nothing_to_do

    # No image at all: one more switch.
    workspace.overlay(settings(workspace.folder, blank={"variant": "blank"}))
    assert workspace.plan("ablation") == jobs_of("blank")
    workspace.overlays.pop()
    changed = settings(workspace.folder)["ablations"]["tiny_parts"]["switches"]["text_only"]
    workspace.overlay(settings(workspace.folder, text_only=changed | {"recipe": {"epochs": 1}}))
    assert workspace.plan("ablation") == jobs_of("text_only")


def test_a_run_needs_only_the_stores_that_it_reads(fresh: Workspace):
    fresh.overlay(settings(fresh.folder))
    jobs = fresh.plan(of_run("text_only", "model.safetensors"))
    of_corpus = {"prepare_dataset", "audit_dataset", "check_overlap"}
    assert set(jobs) == {*of_corpus, "cut_weights", "write_run_spec", "fit"}
    fresh.overlay(settings(fresh.folder, blank={"variant": "blank"}))
    assert "merge_features" in fresh.plan(of_run("blank", "model.safetensors"))


def test_a_store_that_only_a_switch_reads_is_made_for_it_alone(fresh: Workspace):
    sparse = {"features": {"captions": "listed_again"}}
    fresh.overlay(settings(fresh.folder, sparse=sparse))
    fresh.overlay({"feature_sets": {"listed_again": {"extractor": "caption_list"}}})
    store = "results/tiny/features/listed_again.h5"
    assert store in fresh.plan("ablation")["merge_features"]
    jobs = fresh.plan()
    assert store not in jobs["merge_features"]
    assert not any("tiny_parts" in path for path in jobs["fit"])


def test_a_run_of_a_table_may_be_selected_like_any_other(fresh: Workspace):
    fresh.overlay(settings(fresh.folder))
    fresh.overlay({"run": {"models": ["tiny_text_crf", "tiny_parts-text_only"]}})
    assert of_run("text_only", "model.safetensors") in fresh.plan()["fit"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        pytest.param(
            {"run": {"ablations": ["tiny_part"]}},
            ("run.ablations: no 'tiny_part'", "Did you mean 'tiny_parts'?"),
            id="table",
        ),
        pytest.param(
            {"ablations": {"tiny_parts": {"model": "tiny_itta"}}},
            ("ablations.tiny_parts.model: no 'tiny_itta'", "Did you mean 'tiny_ita'?"),
            id="model",
        ),
        pytest.param(
            {"ablations": {"tiny_parts": {"switches": {"x": {"feature": {"captions": None}}}}}},
            ("tiny_parts.switches.x: unknown key 'feature'", "Did you mean 'features'?"),
            id="key",
        ),
        pytest.param(
            {"ablations": {"tiny_parts": {"switches": {"x": {"features": {"caption": None}}}}}},
            ("tiny_parts.switches.x.features: the model has no role 'caption'", "'captions'?"),
            id="role",
        ),
        pytest.param(
            {
                "datasets": {"tiny": {"images": None}},
                "run": {"models": [], "feature_sets": [], "exports": []},
            },
            ("reads images, but datasets.tiny has none",),
            id="no images",
        ),
    ],
)
def test_a_wrong_table_is_refused_before_anything_runs(fresh: Workspace, changes, parts):
    reads_image = {"features": {"ocr": "tiny_ocr"}, "options": {"context": {"num_captions": 1}}}
    fresh.overlay(settings(fresh.folder, ocr=reads_image))
    fresh.overlay(changes)
    result = fresh.snakemake("--dry-run", "ablation")
    assert result.returncode != 0, result.output
    assert result.last_line.startswith("error: ")
    for part in parts:
        assert part in result.last_line, result.output


def test_an_option_that_does_not_exist_is_found_by_the_first_job(workspace: Workspace):
    workspace.overlay(settings(workspace.folder, typo={"options": {"cva_temprature": 4.0}}))
    result = workspace.snakemake("--cores", "1", "results/specs/runs/tiny_parts-typo.json")
    assert result.returncode != 0
    assert "tiny_parts-typo.options: unknown key 'cva_temprature'" in result.last_line
    assert "Did you mean 'cva_temperature'?" in result.last_line
