"""What a change makes Snakemake do again: exactly the jobs that depend on it."""

import json
import re
from pathlib import Path

import pytest

from tests.workflow.workspace import Workspace

REPORT = {
    "summarize": ["results/summary.tsv"],
    "draw_report": ["results/report/report.html"],
    "all": ["all"],
}


def store_jobs(name: str, *, with_spec: bool = False, shards: tuple[int, ...] = (1, 2)) -> dict:
    """Return the jobs that make one store again."""
    jobs = {
        "extract_features": [f"results/tiny/shards/{name}.{k}-of-2.h5" for k in shards],
        "merge_features": [f"results/tiny/features/{name}.h5"],
        "verify_features": [f"results/tiny/qc/{name}.json"],
        "count_degradation": ["results/tiny/degradation.tsv"],
    }
    return jobs | ({"write_spec": [f"results/specs/{name}.json"]} if with_spec else {})


def run_jobs(run: str) -> dict:
    """Return the jobs that train and score one run again."""
    folder = f"results/tiny/runs/{run}/seed1"
    return {"fit": [f"{folder}/model.safetensors"], "evaluate": [f"{folder}/metrics.json"]}


def together(*parts: dict) -> dict:
    """Join job lists."""
    joined: dict[str, list[str]] = {}
    for part in parts:
        for rule, outputs in part.items():
            joined[rule] = sorted({*joined.get(rule, []), *outputs})
    return joined


ACN_AGAIN = together(run_jobs("tiny_acn"), REPORT)


def bump_version(module: Path) -> None:
    """Raise the VERSION of a plug-in."""
    text, count = re.subn(
        r"^VERSION = (\d+)$",
        lambda match: f"VERSION = {int(match[1]) + 1}",
        module.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    module.write_text(text, encoding="utf-8")


@pytest.fixture
def edited(workspace: Workspace, code_copy: Path) -> Workspace:
    """The finished run, driven by a copy of the code that may be edited."""
    return Workspace(workspace.folder, code_copy, workspace.overlays)


def test_another_copy_of_the_code_reruns_nothing(edited):
    assert edited.snakemake("--dry-run").has_nothing_to_do


def test_version_bump_reruns_the_store_and_the_model_that_reads_it(edited):
    bump_version(edited.code / "extract" / "extractors" / "vgg.py")
    assert edited.plan() == together(store_jobs("tiny_vgg", with_spec=True), ACN_AGAIN)


def test_version_bump_of_a_grounder_reaches_crops_and_what_is_read_through_boxes(edited):
    bump_version(edited.code / "extract" / "grounding" / "annotations.py")
    crops = "results/tiny/crops/tiny_boxes"
    assert edited.plan() == together(
        store_jobs("tiny_boxes", with_spec=True),
        store_jobs("tiny_crops", with_spec=True),
        {
            "cut_crops": [f"{crops}/crops.jsonl"],
            "make_dictionary": [f"{crops}/{s}_dict.pth" for s in ("train", "valid", "test")],
            "write_export": ["results/tiny/exports/tiny_hvpnet"],
            "make_gallery": ["results/tiny/gallery.jsonl"],
            "draw_report": REPORT["draw_report"],
            "all": ["all"],
        },
    )


def test_version_bump_of_a_model_trains_it_again(edited):
    bump_version(edited.code / "train/systems/acn/model.py")
    assert edited.plan() == ACN_AGAIN


def test_version_bump_of_the_readers_prepares_the_corpora_again(edited):
    bump_version(edited.code / "extract/corpora/readers/base.py")
    planned = edited.plan()
    assert planned["prepare_dataset"] and planned["audit_dataset"] == ["results/tiny/audit.json"]


def test_version_bump_is_done_once(edited):
    bump_version(edited.code / "extract" / "extractors" / "random.py")
    before = edited.files()
    result = edited.snakemake("--cores", "2")
    assert result.returncode == 0, result.output
    assert result.jobs == together(store_jobs("tiny_random", with_spec=True), {"all": ["all"]})
    after = edited.files()
    changed = {Path(path).name for path in after if after[path] != before.get(path)}
    # The spec and the qc report, and the counts over all stores.
    counts = {"degradation.tsv", "degradation_ids.tsv", "degradation.html"}
    assert changed == {"tiny_random.h5", "tiny_random.json", *counts}
    assert edited.snakemake("--dry-run").has_nothing_to_do


def test_comment_edit_reruns_nothing(edited):
    for module in (
        "extract/extractors/vgg.py",
        "extract/features/engine.py",
        "train/systems/acn/model.py",
    ):
        with (edited.code / module).open("a", encoding="utf-8") as file:
            file.write("\n# A remark.\n")
    assert edited.snakemake("--dry-run").has_nothing_to_do


def test_a_moved_module_reruns_nothing(edited):
    folder = edited.code / "extract/networks"
    (folder / "region_selection.py").rename(folder / "selection.py")
    for file in edited.code.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "networks.region_selection" in text:
            file.write_text(text.replace("networks.region_selection", "networks.selection"))
    assert edited.snakemake("--dry-run").has_nothing_to_do


def test_deleted_store_is_made_again_with_what_depends_on_it(workspace):
    (workspace.folder / "results/tiny/features/tiny_vgg.h5").unlink()
    assert workspace.plan() == together(store_jobs("tiny_vgg"), ACN_AGAIN)


def test_deleted_shard_under_notemp_is_made_again_alone(workspace):
    (workspace.folder / "results/tiny/features/tiny_random.h5").unlink()
    first = workspace.snakemake("--cores", "2", "--notemp")
    assert first.returncode == 0, first.output
    assert first.jobs == together(store_jobs("tiny_random"), {"all": ["all"]})
    assert workspace.snakemake("--dry-run", "--notemp").has_nothing_to_do
    (workspace.folder / "results/tiny/shards/tiny_random.2-of-2.h5").unlink()
    assert workspace.plan("--notemp") == together(
        store_jobs("tiny_random", shards=(2,)), {"all": ["all"]}
    )
    # Without --notemp shards are only a means: nobody misses one.
    assert workspace.snakemake("--dry-run").has_nothing_to_do


def test_runtime_knobs_rerun_nothing(workspace):
    workspace.overlay(
        {
            "feature_sets": {"tiny_vgg": {"runtime": {"batch_size": 3, "mem": "1GB"}}},
            "models": {"tiny_acn": {"runtime": {"mem": "1.5 GB", "time": 90, "threads": 8}}},
            "cluster_cores": 3,
        }
    )
    for cores in ("1", "2", "16"):
        assert workspace.snakemake("--dry-run", "--cores", cores).has_nothing_to_do


def test_changed_recipe_reruns_that_run_alone(workspace):
    workspace.overlay({"models": {"tiny_acn": {"recipe": {"epochs": 1}}}})
    spec = {"write_run_spec": ["results/specs/runs/tiny_acn.json"]}
    assert workspace.plan() == together(spec, ACN_AGAIN)


def test_edited_text_is_read_again(workspace):
    path = workspace.folder / "data/tiny/test.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("old", "new"), encoding="utf-8")
    assert workspace.plan("dataset")["prepare_dataset"] == ["results/tiny/samples/train.jsonl"]


def test_a_replaced_image_is_noticed_and_computed_alone(workspace):
    """Its folder's time says nothing: the file has the same name."""
    path = workspace.folder / "data/tiny/images/O_3993.jpg"
    # Behind its end a JPEG may have anything: bytes that no image of the corpus has.
    path.write_bytes((workspace.folder / "data/tiny/images/17_06_1.jpg").read_bytes() + b"other")
    assert "prepare_dataset" in workspace.plan("dataset")
    result = workspace.snakemake("--cores", "2", "results/tiny/features/tiny_vgg.h5")
    assert result.returncode == 0, result.output
    computed = 0
    for log in (workspace.folder / "logs/tiny").glob("extract_features.tiny_vgg.*.log"):
        line = log.read_text(encoding="utf-8").splitlines()[-1]
        computed += json.loads(line[line.index("{") :])["computed"]
    assert computed == 1


def test_a_changed_limit_looks_at_the_images_again(workspace):
    workspace.overlay({"image_limits": {"max_pixels": 49_000_000}})
    assert workspace.plan("dataset")["prepare_dataset"] == ["results/tiny/samples/train.jsonl"]


def test_a_new_image_is_decoded_alone(workspace):
    images = workspace.folder / "data/tiny/images"
    (images / "gone.jpg").write_bytes((images / "O_3993.jpg").read_bytes() + b"other bytes")
    result = workspace.snakemake("--cores", "2", "dataset")
    assert result.returncode == 0, result.output
    log = (workspace.folder / "logs/tiny/prepare_dataset.log").read_text(encoding="utf-8")
    # With the broken one, which a new decoder might read.
    assert "images: 2 decoded, 8 known from an earlier run; 9 ok, 1 unreadable" in log


def test_a_changed_option_writes_an_export_anew(workspace):
    workspace.overlay({"exports": {"tiny_ita": {"options": {"separator": "single"}}}})
    result = workspace.snakemake("--cores", "2", "exports")
    assert result.returncode == 0, result.output
    assert result.jobs["write_export"] == ["results/tiny/exports/tiny_ita"]
    assert workspace.snakemake("--dry-run", "exports").has_nothing_to_do


def test_an_edit_in_a_folder_of_annotations_is_noticed(workspace):
    folder = workspace.folder / "data/tiny/voc"
    folder.mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox>"
    xml = f"<annotation><object><name>Paris</name>{box}</object></annotation>"
    (folder / "240.xml").write_text(xml.format(8), encoding="utf-8")
    workspace.overlay({"datasets": {"tiny": {"annotations": "data/tiny/voc"}}})
    store = "results/tiny/features/tiny_boxes.h5"
    assert workspace.snakemake("--cores", "2", store).returncode == 0
    assert workspace.snakemake("--dry-run", store).has_nothing_to_do
    (folder / "240.xml").write_text(xml.format(7), encoding="utf-8")
    assert "extract_features" in workspace.plan(store)
