"""No training on splits that overlap, asked for with or without the workflow."""

import json
from pathlib import Path

import pytest

from extract.errors import DataError, MissingFileError
from extract.manifest import read_samples, write_samples
from tests.unit.train.dummy_system import write_corpus
from train.__main__ import main
from train.commands import fit as fit_command
from train.overlap import MAX_OVERLAP, check_result, check_splits

pytestmark = pytest.mark.usefixtures("dummy")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"), is_distinct=True)
    return tmp_path / "samples"


def fit(samples: Path, *more: str) -> int:
    spec = {"run": "r", "system": "dummy", "recipe": {"epochs": 1, "lr": {"default": 0.1}}}
    path = samples.parent / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    out = samples.parent / "run"
    command = ["fit", "--spec", path, "--samples-dir", samples, "--seed", 1, "--out", out]
    return main([*map(str, command), "--device", "cpu", *more])


def test_distinct_splits_are_trained_on(samples: Path) -> None:
    assert fit(samples) == 0
    assert (samples.parent / "run" / "model.safetensors").is_file()


def test_a_bundle_whose_test_is_its_valid_is_refused_with_the_list(samples: Path, capsys) -> None:
    write_samples(samples / "test.jsonl", read_samples(samples / "valid.jsonl"))
    assert fit(samples) == 2
    error = capsys.readouterr().err
    assert "24 of 24 tweets of test (100.00%) stand in valid: the same tweets" in error
    assert "at most 2.00% is allowed" in error and "  valid0: valid0" in error
    assert "The whole list: `python -m extract audit" in error and "Traceback" not in error
    assert not (samples.parent / "run").exists()


def test_a_share_is_refused_above_the_limit_and_let_pass_below(samples: Path) -> None:
    train, valid = (read_samples(samples / f"{split}.jsonl") for split in ("train", "valid"))
    write_samples(samples / "valid.jsonl", [train[0], *valid[1:]])
    check_splits(samples, 1 / 24)
    with pytest.raises(DataError, match=r"1 of 24 tweets of valid \(4\.17%\) stand in train"):
        check_splits(samples, 0.04)
    assert fit(samples, "--max-overlap", "0.05") == 0
    assert fit(samples) == 2


def test_the_result_of_the_workflow_stands_for_the_comparison(samples: Path, tmp_path, capsys):
    result = tmp_path / "overlap.json"
    with pytest.raises(MissingFileError, match="check-overlap"):
        check_result(result)
    pair = {"split": "test", "other": "train", "of": 4, "tweets": 1, "share": 0.25, "equal": False}
    result.write_text(json.dumps({"max_overlap": 0.3, "overlap": [pair]}), encoding="utf-8")
    assert fit(samples, "--overlap", str(result)) == 0
    result.write_text(json.dumps({"max_overlap": 0.2, "overlap": [pair]}), encoding="utf-8")
    assert fit(samples, "--overlap", str(result)) == 2
    assert "expected shares of at most 0.2" in capsys.readouterr().err
    result.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="not what `check-overlap` writes"):
        check_result(result)


def test_the_limit_is_one_everywhere(repo_root: Path) -> None:
    import argparse

    import yaml

    from extract.commands import check_overlap

    schema = (repo_root / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    datasets = yaml.safe_load(schema)["properties"]["datasets"]["additionalProperties"]
    assert datasets["properties"]["max_overlap"]["default"] == MAX_OVERLAP
    for module in (fit_command, check_overlap):
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        assert parser.get_default("max_overlap") == MAX_OVERLAP
