"""Checkpoints and other files that users put there: what is made of them follows their content."""

import os
import shutil
from pathlib import Path

import pytest

from tests.builders.hub import glove
from tests.builders.hub.torchvision_vgg16 import write_vgg16
from tests.workflow.test_bad_input import assert_ends_with
from tests.workflow.test_reruns import run_jobs, store_jobs, together
from tests.workflow.workspace import Workspace

STORE = "results/tiny/features/given_vgg.h5"
SPEC = "results/specs/given_vgg.json"
FETCH = "curl -fL -o weights/vgg/vgg16.pth https://example.org/vgg16.pth"
GIVEN = {
    "weights": {"given": {"path": "weights/vgg", "fetch": FETCH}},
    "feature_sets": {
        "given_vgg": {
            "extractor": "vgg",
            "weights": {"vision": "given"},
            "options": {"image_size": 64, "feature_dim": 8},
        }
    },
}


def replace_with_older(path: Path, data: bytes) -> None:
    """Put another file in the place of one, with a time before that of everything made of it."""
    path.unlink()
    path.write_bytes(data)
    os.utime(path, (1_000_000_000, 1_000_000_000))


def copy_anew(path: Path) -> None:
    """Put a copy in the place of a file: the same content, of now."""
    shutil.copyfile(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def test_a_cut_off_download_is_forgotten_when_the_right_file_comes(workspace: Workspace) -> None:
    workspace.overlay(GIVEN)
    folder, _ = write_vgg16(workspace.folder / "weights/vgg")
    file = next(folder.glob("*.pth"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    result = workspace.snakemake("--cores", "1", STORE)
    assert result.returncode != 0
    parts = (file.name, f"damaged or incomplete, {len(whole) // 2:,} bytes found", f"`{FETCH}`")
    assert_ends_with(result, *parts)
    assert not (workspace.folder / SPEC).exists()
    replace_with_older(file, whole)
    result = workspace.snakemake("--cores", "2", STORE)
    assert result.returncode == 0, result.output
    # A copy of the same, or another time, is no reason to compute anything again.
    copy_anew(file)
    assert workspace.snakemake("--dry-run", STORE).has_nothing_to_do
    # Other weights are, though their file is older than what was made.
    replace_with_older(file, whole[:-4] + b"\0\0\0\0")
    again = {"write_spec": [SPEC], **{
        rule: jobs for rule, jobs in store_jobs("given_vgg").items()
        if rule in ("extract_features", "merge_features")
    }}  # fmt: skip
    assert workspace.plan(STORE) == again
    result = workspace.snakemake("--cores", "2", STORE)
    assert result.returncode == 0, result.output
    assert workspace.snakemake("--dry-run", STORE).has_nothing_to_do


def test_training_follows_its_encoder(workspace: Workspace) -> None:
    file = workspace.folder / "weights/tiny_bert/model.safetensors"
    copy_anew(file)
    os.utime(workspace.folder / "weights/tiny_bert/config.json")
    assert workspace.snakemake("--dry-run").has_nothing_to_do
    data = file.read_bytes()
    replace_with_older(file, data[:-4] + b"\0\0\0\0")
    plan = workspace.plan()
    assert plan["cut_weights"] == ["results/weights/tiny_bert_1"]
    runs = ("tiny_ita", "tiny_ita-without_captions", "tiny_text_crf")
    specs = sorted(f"results/specs/runs/{run}.json" for run in runs)
    assert plan["write_run_spec"] == specs
    trained = [run_jobs(run) for run in runs]
    expected = together(*trained)
    assert {rule: plan[rule] for rule in expected} == expected
    assert "extract_features" not in plan


VECTORS = {
    "models": {"tiny_acn": {"options": {"word_vectors": "weights/glove.txt", "word_dim": 4}}}
}


def test_a_file_that_an_option_names_is_missed_before_anything_runs(fresh: Workspace) -> None:
    fresh.overlay(VECTORS)
    assert_ends_with(
        fresh.snakemake("--cores", "1"),
        "weights/glove.txt: no such file",
        "models.tiny_acn.options.word_vectors names it",
    )
    assert not (fresh.folder / "results").exists()


def test_a_file_that_an_option_names_is_an_input(workspace: Workspace) -> None:
    workspace.overlay(VECTORS)
    path = workspace.folder / "weights/glove.txt"
    spec = "results/specs/runs/tiny_acn.json"
    path.write_bytes(b"PK\3\4")
    result = workspace.snakemake("--cores", "1", spec)
    assert_ends_with(result, "weights/glove.txt: expected text", "Unpack an archive")
    glove.write_vectors(path)
    model = "results/tiny/runs/tiny_acn/seed1/model.safetensors"
    result = workspace.snakemake("--cores", "1", model)
    assert result.returncode == 0, result.output
    assert result.jobs == {"write_run_spec": [spec], "fit": [model]}
    copy_anew(path)
    assert workspace.snakemake("--dry-run", model).has_nothing_to_do
    glove.write_vectors(path, words=["new"])
    assert workspace.plan(model) == {"write_run_spec": [spec], "fit": [model]}


def test_every_option_that_names_a_file_is_annotated(repo_root: Path) -> None:
    """By its name a string option of a system names none: what a file is called says so."""
    from typing import get_type_hints

    from extract.core.options import FilePath
    from extract.core.registry import available, load_module
    from workflow.plan.catalogue import file_options

    annotated = {}
    for system in available("train.systems"):
        hints = get_type_hints(load_module("train.systems", system).Options, include_extras=True)
        names = [name for name, hint in hints.items() if hint in (FilePath, FilePath | None)]
        assert file_options(repo_root / f"train/systems/{system}/options.py") == names
        annotated |= {system: names} if names else {}
    assert annotated == {"acn": ["word_vectors"]}


@pytest.mark.parametrize("sha256", ["0" * 64])
def test_the_pin_of_an_encoder_is_compared_before_anything(
    workspace: Workspace, sha256: str
) -> None:
    workspace.overlay({"weights": {"tiny_bert": {"sha256": sha256}}})
    result = workspace.snakemake("--cores", "1", "results/specs/runs/tiny_text_crf.json")
    assert_ends_with(result, "weights/tiny_bert: ", f"but the config expects {sha256}")
