"""No training on splits that overlap, asked for with or without the workflow."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from extract.__main__ import main as extract
from extract.core.errors import DataError, MissingFileError
from extract.corpora.audit.overlap import MAX_OVERLAP
from extract.corpora.audit.reading import read_corpus
from extract.corpora.audit.report import audit
from extract.corpora.readers.base import TextSettings
from extract.tables.samples import SPLITS, read_samples, write_samples
from tests.builders.train.dummy_system import write_corpus
from train.__main__ import main
from train.commands import fit as fit_command
from train.training.held_out import training_guard
from train.training.overlap import check_result, check_splits

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


@pytest.fixture
def result(samples: Path) -> Path:
    """Make overlap.json of the samples, as the workflow does."""
    return make_result(samples)


def make_result(samples: Path, *more: str) -> Path:
    report = audit(read_corpus(samples.parent, "conll_imgid", TextSettings()))
    found = samples.parent / "audit.json"
    found.write_text(json.dumps(report), encoding="utf-8")
    out = samples.parent / "overlap.json"
    assert extract(["check-overlap", "--audit", str(found), "--out", str(out), *more]) == 0
    return out


def change(result: Path, **changes) -> None:
    content = json.loads(result.read_text(encoding="utf-8"))
    content["overlap"][0] |= changes.pop("pair", {})
    result.write_text(json.dumps(content | changes), encoding="utf-8")


def test_the_result_of_the_workflow_stands_for_the_comparison(samples: Path, result, monkeypatch):
    monkeypatch.setattr("train.training.overlap.check_splits", None)
    assert fit(samples, "--overlap", str(result)) == 0
    # The limit of the file counts, not the one of `fit`.
    train, valid = (read_samples(samples / f"{split}.jsonl") for split in ("train", "valid"))
    write_samples(samples / "valid.jsonl", [train[0], *valid[1:]])
    assert fit(samples, "--overlap", str(make_result(samples, "--max-overlap", "0.05"))) == 0


def test_the_result_is_checked_without_reading_test(samples: Path, result: Path) -> None:
    (samples / "test.jsonl").write_text("no JSON", encoding="utf-8")
    with training_guard(samples):
        check_result(result, samples)


BAD = {
    "too much": ({"max_overlap": 0.2, "pair": {"share": 0.25}}, "splits overlap, at most 20.00%"),
    "equal": ({"max_overlap": 1.0, "pair": {"share": 1.0, "equal": True}}, "the same tweets"),
    "no pair": ({"overlap": []}, r"overlap: expected the pairs .*'test', 'train'.*got \[\]"),
    "no list": ({"overlap": None}, "overlap: expected a list, got None"),
    "no equal": ({"pair": {"equal": None}}, r"overlap\[0\]\.equal: expected bool, got None"),
    "no number": ({"pair": {"share": float("nan")}}, r"share: expected a share, 0-1, got nan"),
    "no limit": ({"max_overlap": 7}, "max_overlap: expected a share, 0-1, got 7"),
    "no identity": ({"fingerprints": {}}, "fingerprints: expected one for each split"),
    "another train": ({"fingerprints": {s: "0" for s in SPLITS}}, r"another corpus.*train\.jsonl"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_result_that_proves_nothing_is_refused(samples: Path, result: Path, name, capsys) -> None:
    changes, message = BAD[name]
    change(result, **changes)
    with pytest.raises(DataError, match=message):
        check_result(result, samples)
    assert fit(samples, "--overlap", str(result)) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (samples.parent / "run").exists()


def test_the_result_is_of_these_samples_alone(samples: Path, result: Path) -> None:
    valid = read_samples(samples / "valid.jsonl")
    # Corrections of labels stand beside the labels, and are no other corpus.
    write_samples(samples / "valid.jsonl", [replace(s, repaired_tags=s.tags) for s in valid])
    check_result(result, samples)
    for changed in (valid[1:], valid[::-1], [replace(valid[0], tokens=["x"], tags=["O"])]):
        write_samples(samples / "valid.jsonl", changed)
        with pytest.raises(DataError, match=r"another corpus.*valid\.jsonl"):
            check_result(result, samples)


def test_a_comparison_without_test_is_not_enough_where_there_is_one(samples: Path) -> None:
    test = read_samples(samples / "test.jsonl")
    (samples / "test.jsonl").unlink()
    result = make_result(samples)
    check_result(result, samples)
    write_samples(samples / "test.jsonl", test)
    with pytest.raises(DataError, match="made without test"):
        check_result(result, samples)


def test_a_file_that_is_no_result_is_refused(samples: Path) -> None:
    path = samples.parent / "overlap.json"
    with pytest.raises(MissingFileError, match="check-overlap"):
        check_result(path, samples)
    for content, message in (("[]", "expected an object"), ("{", "not JSON")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            check_result(path, samples)


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
