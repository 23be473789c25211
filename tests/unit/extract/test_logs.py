"""Progress for people and for files, and switches that keep libraries offline."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from extract import logs
from extract.logs import Progress, set_offline


class Clock:
    """A clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(logs.time, "monotonic", lambda: self.now)


def test_a_log_file_gets_a_line_each_30_s_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(monkeypatch)
    progress = Progress("shard 3-of-8", 1000, done=200)
    for _ in range(80):
        clock.now += 1.0
        progress.update(10, "1 unreadable")
    lines = [record.getMessage() for record in caplog.records]
    # The rate counts what this run did, not the 200 of an earlier one.
    assert lines == [
        "shard 3-of-8: 500/1000 images, 10.0/s, 50 s left, 1 unreadable",
        "shard 3-of-8: 800/1000 images, 10.0/s, 20 s left, 1 unreadable",
        "shard 3-of-8: 1000/1000 images, 10.0/s, 0 s left, 1 unreadable",
    ]


def test_a_terminal_gets_one_line_that_is_rewritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress("decode", 3, unit="files")
    for _ in range(3):
        clock.now += 0.5
        progress.update(1)
    written = capsys.readouterr().err
    assert written.count("\r") == 3
    assert written.count("\n") == 1
    assert written.endswith("\n")
    assert "decode: 2/3 files, 2.0/s, 0 s left" in written


def test_offline_is_the_default_and_can_be_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "YOLO_OFFLINE", "YOLO_AUTOINSTALL", "ULTRALYTICS_SAFE_LOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    set_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["YOLO_OFFLINE"] == "true"
    assert os.environ["YOLO_AUTOINSTALL"] == "false"
    assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "1"
    assert os.environ["TRANSFORMERS_OFFLINE"] == "0"


@pytest.mark.parametrize(("debug", "shown"), [(False, ["INFO"]), (True, ["DEBUG", "INFO"])])
def test_records_go_to_stderr_with_time_level_and_module(
    repo_root: Path, debug: bool, shown: list[str]
) -> None:
    code = (
        "import logging\n"
        "from extract.logs import configure_logging\n"
        f"configure_logging(debug={debug})\n"
        "logging.getLogger('some.module').debug('fine')\n"
        "logging.getLogger('some.module').info('words')\n"
        "logging.getLogger('PIL.Image').info('noise')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repo_root
    )
    assert done.stdout == ""
    lines = [line.split(" ", 2)[2] for line in done.stderr.splitlines()]
    text = {"DEBUG": "fine", "INFO": "words"}
    assert lines == [f"{level} some.module: {text[level]}" for level in shown]
