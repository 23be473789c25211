"""Exit codes and messages: 0, 2 with a message for users, 1 with a traceback for bugs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.commands import list_plugins as list_command
from extract.core import cli
from extract.core.errors import DataError
from extract.core.registry import available, load_module
from tests.builders.extract.feature_files import write_merged

COMMANDS = available("extract.commands")


def raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the command `list` fail."""

    def run(args: object) -> None:
        raise error

    monkeypatch.setattr(list_command, "run", run)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_module("extract.commands", name)
    command = cli.command_name(name, module)
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert module.HELP in shown
    assert "\n" not in module.HELP
    # On one line, to be copied.
    assert f"example: {module.EXAMPLE}" in shown
    assert module.EXAMPLE.startswith(f"python -m extract {command}")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_flags_of_an_example_exist(name: str) -> None:
    import shlex

    module = load_module("extract.commands", name)
    words = shlex.split(module.EXAMPLE)[3:]
    command = cli.build_parser("extract").parse_args(words).command
    assert command == cli.command_name(name, module)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    modules = {name: load_module("extract.commands", name) for name in COMMANDS}
    assert {cli.command_name(*item) for item in modules.items()} <= listed


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["list", "--unknown"], ["features"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m extract" in capsys.readouterr().err


def test_list_names_the_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line.split(": ")[0] for line in lines]
    assert kinds[:4] == ["datasets", "phrases", "grounding", "extractors"]
    assert kinds[4:] == ["interop.artefacts", "interop.layouts"]
    assert "twitter2015" in lines[0].split()
    assert "vgg" in lines[3].split()


def test_a_users_error_is_a_message_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MNER_ERROR_FILE", raising=False)
    raises(monkeypatch, DataError("data/x.txt:3: what is wrong. What to do."))
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "error: data/x.txt:3: what is wrong. What to do.\n"


def test_an_error_of_the_system_is_a_message_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    raises(monkeypatch, FileNotFoundError(2, "No such file or directory", "some/file"))
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "error: some/file: No such file or directory\n"
    raises(monkeypatch, OSError("disk on fire"))
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "error: disk on fire\n"


@pytest.mark.parametrize("arguments", [["--debug", "list"], ["list", "--debug"]])
def test_debug_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    raises(monkeypatch, DataError("wrong"))
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("error: wrong\n")


def test_an_interrupted_run_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raises(monkeypatch, KeyboardInterrupt())
    assert main(["list"]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    raises(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_errors_are_kept_for_the_end_of_a_workflow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MNER_ERROR_FILE", str(tmp_path / "errors.txt"))
    for message in ("first", "second"):
        raises(monkeypatch, DataError(message))
        main(["list"])
    assert (tmp_path / "errors.txt").read_text() == "error: first\nerror: second\n"


def test_exit_codes_of_the_process(repo_root: Path, tmp_path: Path) -> None:
    """A user's error, then a bug: a broken command file of a copy of the command line."""
    command = [sys.executable, "-m", "extract"]
    images = str(tmp_path / "none.tsv")
    done = subprocess.run(
        [*command, "merge", "--shards", "a.h5", "--images", images, "--out", "b.h5"],
        cwd=repo_root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {images}: no such file")
    assert "Traceback" not in done.stderr
    code = (
        "import sys; from extract.commands import list_plugins as c; from extract.__main__ import "
        "main\n"
        "c.run = lambda args: 1 / 0\n"
        "sys.exit(main(['list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_inspect_shows_a_store_and_an_item(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_merged(tmp_path / "full.h5")
    assert main(["inspect", str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["items"] == 10
    assert shown["outputs"]["item_shape"] == [2, 3]
    assert shown["status"]["ok"] == 7

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    # Item 0 has a score that is NaN.
    assert main(["inspect", str(path), "--id", "a/b/c.jpg"]) == 0
    item = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert item["features"]["shape"] == [2, 6]
    assert item["scores"][0] is None
    assert item["scores"][1] is not None
    assert item["text"][1] == ""
    assert main(["inspect", str(path), "--id", ".."]) == 0
    item = json.loads(capsys.readouterr().out)
    assert (item["status"], item["reason"]) == (1, "because 1 — né")
    assert item["features"] == {"shape": [0, 6]}
    assert main(["inspect", str(path), "--id", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_ground_needs_phrases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ground", "--spec", "s", "--images", "i", "--out", "o"]) == 2
    assert "python -m extract phrases" in capsys.readouterr().err
