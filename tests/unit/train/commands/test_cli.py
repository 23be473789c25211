"""The command line of `train`: help, exit codes, the whole chain on a tiny system."""

import json
import sys
from pathlib import Path

import pytest

from tests.builders.train.dummy_system import write_corpus
from train.__main__ import main

pytestmark = pytest.mark.usefixtures("dummy")


def test_fit_evaluate_summarize_report_table(
    tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    samples = tmp_path / "samples"
    write_corpus(samples, splits=("train", "valid", "test"), is_distinct=True)
    recipe = {"epochs": 4, "batch_size": 4, "lr": {"default": 0.05}}
    metrics = []
    for run, variant in (("dummy", "main"), ("dummy-blank", "blank")):
        spec = {"run": run, "system": "dummy", "variant": variant, "recipe": recipe}
        (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        for seed in ("1", "2"):
            out = tmp_path / "runs" / run / f"seed{seed}"
            common = ["--device", "cpu", "--out", str(out)]
            fit = ["fit", "--spec", tmp_path / "spec.json", "--samples-dir", samples]
            fit += ["--seed", seed, "--dataset", "toy"]
            assert main([*map(str, fit), *common]) == 0
            assert json.loads(caplog.records[-1].getMessage())["epochs_run"] == 4
            test = ["evaluate", "--run", out, "--samples", samples / "test.jsonl"]
            assert main([*map(str, test), *common]) == 0
            assert json.loads(caplog.records[-1].getMessage())["n_samples"] == 24
            metrics.append(str(out / "metrics.json"))
    tables = [str(tmp_path / name) for name in ("summary.tsv", "intervals.tsv")]
    arguments = ["--metrics", *metrics, "--out", tables[0], "--intervals", tables[1]]
    assert main(["summarize", *arguments, "--resamples", "200"]) == 0
    assert capsys.readouterr().out == ""
    both = ["--summary", tables[0], "--intervals", tables[1]]
    assert main(["report", *both, "--metrics", *metrics, "--out-dir", str(tmp_path / "r")]) == 0
    assert (tmp_path / "r" / "learning_curves.svg").is_file()
    assert main(["table", *both]) == 0
    shown = capsys.readouterr().out
    for part in ("text_view", "dummy/main - dummy/blank", "f1_mean", "picture"):
        assert part in shown
    assert "without_handle" not in shown
    assert "without_handle" in (tmp_path / "summary.tsv").read_text(encoding="utf-8")
    rows = (tmp_path / "summary.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("toy\tdummy\tmain\tall\t2\t")


def test_user_errors_exit_with_2_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "spec.json").write_text('{"run": "r", "system": "dumy"}', encoding="utf-8")
    arguments = ["--samples-dir", str(tmp_path), "--seed", "1", "--out", str(tmp_path / "o")]
    assert main(["fit", "--spec", str(tmp_path / "spec.json"), *arguments]) == 2
    error = capsys.readouterr().err
    assert "Did you mean 'dummy'" in error and "Traceback" not in error
    assert main(["fit", "--spec", str(tmp_path / "none.json"), *arguments]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "evaluate", "summarize", "report", "table", "list"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"example: python -m train {command}" in " ".join(capsys.readouterr().out.split())


def test_list_names_the_systems(capsys: pytest.CaptureFixture) -> None:
    assert main(["list"]) == 0
    assert "text_crf" in capsys.readouterr().out


def test_training_never_opens_the_test_split(tmp_path: Path) -> None:
    write_corpus(tmp_path / "samples", splits=("train", "valid", "test"), is_distinct=True)
    recipe = {"epochs": 1, "lr": {"default": 0.05}}
    spec = {"run": "r", "system": "dummy", "recipe": recipe}
    (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    opened: list[str] = []
    is_on = True

    def hook(event: str, arguments: tuple) -> None:
        if is_on and event == "open" and isinstance(arguments[0], (str, Path)):
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)  # cannot be removed, so it is switched off
    arguments = ["--spec", tmp_path / "spec.json", "--samples-dir", tmp_path / "samples"]
    arguments += ["--seed", "1", "--device", "cpu", "--out", tmp_path / "out"]
    code = main(["fit", *map(str, arguments)])
    is_on = False
    assert code == 0
    names = {Path(name).name for name in opened}
    assert {"train.jsonl", "valid.jsonl"} <= names
    assert "test.jsonl" not in names


@pytest.mark.parametrize("command", ["summarize", "ablate"])
@pytest.mark.parametrize("number", ["0", "1", "-5", "many"])
def test_a_bootstrap_needs_two_resamples(command: str, number: str, capsys) -> None:
    arguments = ["--metrics", "none.json", "--out", "t.tsv", f"--resamples={number}"]
    rows = ["--rows", "full=run"] if command == "ablate" else []
    with pytest.raises(SystemExit) as stopped:
        main([command, *arguments, *rows])
    assert stopped.value.code == 2
    assert f"expected a whole number of 2 or more, got '{number}'" in capsys.readouterr().err
