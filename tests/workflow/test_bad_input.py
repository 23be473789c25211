"""A mistake of the user gives one message with place and remedy, last, and loses nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.workspace import Finished, Workspace

FIRST_TOKEN = "Ada\tB-PER"


def edit(workspace: Workspace, old: str, new: str) -> None:
    """Change the training text."""
    path = workspace.folder / "data/tiny/train.txt"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def assert_ends_with(result: Finished, *parts: str) -> None:
    """Check that a failed run's last line is the message, without any traceback of ours."""
    assert result.returncode != 0, result.output
    last = result.output.rstrip().splitlines()[-1]
    assert last.startswith("error: "), result.output
    for part in parts:
        assert part in last, result.output
    assert "Traceback (most recent call last)" not in result.output


@pytest.fixture
def no_tesseract(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has a shell, what Snakemake's plugins call, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("bash", "sh", "which"):
        (folder / program).symlink_to(shutil.which(program))
    return {"PATH": str(folder)}


# Wrong texts and images: the command says it, Snakemake repeats it at the end.


def test_tag_that_does_not_exist(fresh):
    edit(fresh, FIRST_TOKEN, "Ada\tB-PERS")
    result = fresh.snakemake("--cores", "1", "--show-failed-logs", "dataset")
    assert_ends_with(result, "data/tiny/train.txt:2", "'B-PERS'", "Did you mean 'B-PER'?")


def test_line_with_one_column(fresh):
    edit(fresh, FIRST_TOKEN, "Ada")
    result = fresh.snakemake("--cores", "1", "dataset")
    assert_ends_with(result, "data/tiny/train.txt:2", "one column 'Ada'", "labels: false")


def test_too_many_images_missing(fresh):
    fresh.overlay({"datasets": {"tiny": {"max_bad_images": 0.1}}})
    result = fresh.snakemake("--cores", "1", "dataset")
    assert_ends_with(
        result, "2 of 10 images", "gone (missing)", "broken (unreadable)", "max_bad_images"
    )
    listed = (fresh.folder / "results/tiny/bad_images.tsv").read_text(encoding="utf-8")
    assert [line.split("\t")[0] for line in listed.splitlines()[1:]] == ["gone", "broken"]


def test_missing_corpus(fresh):
    shutil.rmtree(fresh.folder / "data/tiny/images")
    assert_ends_with(fresh.snakemake("--dry-run"), "data/tiny/images", "data/README.md")
    (fresh.folder / "data/tiny/dev.txt").unlink()
    assert_ends_with(fresh.snakemake("--dry-run"), "data/tiny/valid.txt", "data/README.md")


# Wrong configs: said before anything runs, in a dry run too.


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        pytest.param(
            {"run": {"feature_set": []}},
            ("config.run: unknown key 'feature_set'", "Did you mean 'feature_sets'?"),
            id="config key",
        ),
        pytest.param(
            {"shards": "many"}, ("config.shards", "'many' is not of type 'integer'"), id="value"
        ),
        pytest.param(
            {"run": {"feature_sets": ["tiny_pixel"]}},
            ("run.feature_sets: no 'tiny_pixel'", "Did you mean 'tiny_pixels'?"),
            id="feature-set name",
        ),
        pytest.param(
            {"feature_sets": {"tiny_pixels": {"options": {"sise": 8}}}},
            ("feature_sets.tiny_pixels.options: unknown key 'sise'", "Did you mean 'size'?"),
            id="option",
        ),
        pytest.param(
            {"feature_sets": {"tiny_pixels": {"extractor": "pixel"}}},
            ("feature_sets.tiny_pixels: ", "Did you mean 'pixels'?"),
            id="extractor",
        ),
        pytest.param(
            {"models": {"tiny_ita": {"system": "itta"}}},
            ("models.tiny_ita.system: no 'itta'", "Did you mean 'ita'?"),
            id="system",
        ),
        pytest.param(
            {"models": {"tiny_ita": {"weights": {"encoder": "tiny_bart"}}}},
            ("models.tiny_ita.weights.encoder: no 'tiny_bart'", "Did you mean 'tiny_bert'?"),
            id="encoder",
        ),
        pytest.param(
            {"datasets": {"tiny": {"images": None}}},
            ("reads images, but datasets.tiny has none", "images: null"),
            id="no images",
        ),
        pytest.param(
            {
                "weights": {"bert": {"path": "weights/bert", "fetch": "hf download bert"}},
                "models": {"tiny_ita": {"weights": {"encoder": "bert"}}},
            },
            ("weights.bert: no file or folder weights/bert", "hf download bert"),
            id="weights",
        ),
    ],
)
def test_wrong_config(fresh, settings, parts):
    fresh.overlay(settings)
    assert_ends_with(fresh.snakemake("--dry-run"), *parts)
    assert not (fresh.folder / "results").exists()


# Wrong model options are found by the first jobs of a run, before anything long.


def test_model_option_with_a_typo(workspace):
    workspace.overlay({"models": {"tiny_ita": {"options": {"cva_temprature": 4.0}}}})
    result = workspace.snakemake("--cores", "1", "results/specs/runs/tiny_ita.json")
    assert_ends_with(
        result, "models.tiny_ita.options: unknown key 'cva_temprature'", "'cva_temperature'"
    )


# Nothing already computed is lost.


def test_bad_text_after_a_full_run_keeps_stores_and_models(workspace):
    before = workspace.files()
    edit(workspace, FIRST_TOKEN, "Ada\tB-PERS")
    assert_ends_with(workspace.snakemake("--cores", "2"), "data/tiny/train.txt:2")
    after = workspace.files()
    redone = {"train.jsonl", "valid.jsonl", "test.jsonl", "images.tsv", "stats.json"}
    assert {path for path in before if Path(path).name not in redone} == set(after)
    assert all(after[path] == before[path] for path in after)


def test_missing_weights_after_a_full_run_keep_everything(workspace):
    before = workspace.files()
    shutil.rmtree(workspace.folder / "weights/tiny_bert")
    workspace.overlay({"models": {"tiny_ita": {"recipe": {"epochs": 1}}}})
    result = workspace.snakemake("--cores", "2", "results/specs/runs/tiny_ita.json")
    assert_ends_with(result, "weights.tiny_bert", "weights/tiny_bert")
    assert workspace.files() == before


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the finished run has no OCR")
def test_missing_tesseract_stops_ocr_alone(workspace, no_tesseract):
    store = workspace.folder / "results/tiny/features/tiny_ocr.h5"
    store.unlink()
    before = workspace.files()
    result = workspace.snakemake("--cores", "1", env=no_tesseract)
    assert_ends_with(result, "`tesseract` is not on PATH", "apt-get install tesseract-ocr")
    assert workspace.files() == before
    # With Tesseract back, the stage that failed is all that is left of the features.
    again = workspace.snakemake("--cores", "2", "ocr")
    assert again.returncode == 0, again.output
    assert set(again.jobs) == {"extract_features", "merge_features", "ocr"}


# The same mistakes on the command line: exit code 2 and the message alone.


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        pytest.param(
            ["extract", "dataset", "--reader", "conll_imgid", "--root", "data/tiny", "--out", "x"],
            ("data/tiny/train.txt:2", "'B-PERS'", "Did you mean 'B-PER'?"),
            id="tag",
        ),
        pytest.param(
            ["extract", "dataset", "--reader", "conll", "--root", "data/tiny", "--out", "x"],
            ("no 'conll'", "Did you mean 'conll_imgid'?"),
            id="reader",
        ),
        pytest.param(
            [
                *("extract", "spec", "--out", "x.json", "--definition"),
                '{"name": "v", "extractor": "vgg", '
                '"weights": {"vision": {"name": "vgg16", "path": "weights/vgg16.pth"}}}',
            ],
            ("weights.vgg16: no file or folder weights/vgg16.pth",),
            id="weights",
        ),
        pytest.param(
            [
                *("train", "spec", "--out", "x.json", "--definition"),
                '{"run": "r", "system": "text_crf", "recipe": {"epoch": 1}}',
            ],
            ("models.r.recipe: unknown key 'epoch'", "Did you mean 'epochs'?"),
            id="recipe",
        ),
    ],
)
def test_command_line_exits_2_with_the_message_alone(fresh, arguments, parts):
    edit(fresh, FIRST_TOKEN, "Ada\tB-PERS")
    result = call(fresh, arguments)
    assert result.returncode == 2, result.output
    assert_ends_with(result, *parts)
    assert not (fresh.folder / "x").exists()
    assert not (fresh.folder / "x.json").exists()


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the finished run has no OCR")
def test_command_line_without_tesseract(workspace, no_tesseract):
    arguments = ["extract", "features", "--spec", "results/specs/tiny_ocr.json"]
    arguments += ["--images", "results/tiny/images.tsv", "--out", "x.h5"]
    result = call(workspace, arguments, no_tesseract)
    assert result.returncode == 2, result.output
    assert_ends_with(result, "`tesseract` is not on PATH", "apt-get install tesseract-ocr")
    assert not (workspace.folder / "x.h5").exists()


def call(workspace: Workspace, arguments: list[str], env: dict[str, str] | None = None) -> Finished:
    """Call `python -m <package> ...` in the working directory."""
    result = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": str(workspace.code), **(env or {})},
        timeout=300,
        check=False,
    )
    return Finished(result.returncode, result.stdout)
