"""Progress for people and for files, and switches that keep libraries offline."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from extract.core import logs
from extract.core.logs import PrintableFormatter, Progress, printable


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
        progress.update(10)
    lines = [record.getMessage() for record in caplog.records]
    # The rate counts what this run did, not the 200 of an earlier one.
    assert lines == [
        "shard 3-of-8: 500/1000 images, 10.0/s, 50 s left",
        "shard 3-of-8: 800/1000 images, 10.0/s, 20 s left",
        "shard 3-of-8: 1000/1000 images, 10.0/s, 0 s left",
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


@pytest.mark.parametrize(("debug", "shown"), [(False, ["INFO"]), (True, ["DEBUG", "INFO"])])
def test_records_go_to_stderr_with_time_level_and_module(
    repo_root: Path, debug: bool, shown: list[str]
) -> None:
    code = (
        "import logging\n"
        "from extract.core.logs import configure_logging\n"
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


def test_data_in_a_message_cannot_command_the_terminal() -> None:
    hostile = "\x1b[2J\r\x9b31m\u202e\u2028\udc80\x7f"
    shown = "\\u001b[2J\\u000d\\u009b31m\\u202e\\u2028\\udc80\\u007f"
    assert printable(hostile) == shown
    harmless = "\tR\u00edga \U0001f600 \u5bff\n"
    assert printable(harmless) == harmless


def test_data_in_a_message_cannot_look_like_another_record() -> None:
    formatter = PrintableFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.INFO, "", 0, "image %s", ("a\nERROR gone\x1b[2J",), sys.exc_info()
        )
    line, *trace = formatter.format(record).splitlines()
    assert line == "INFO image a\\nERROR gone\\u001b[2J"
    assert trace[0].startswith("Traceback")
