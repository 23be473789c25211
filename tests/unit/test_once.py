"""What all workers of a session share is made once, and fails alike for all."""

import subprocess
from pathlib import Path

import pytest

from tests.workflow.conftest import once


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> str:
        made.append(folder)
        return ""

    assert once(tmp_path, "run", make) == once(tmp_path, "run", make) == tmp_path / "run"
    assert made == [tmp_path / "run"]


def test_whoever_comes_after_a_failure_hears_its_cause(tmp_path: Path) -> None:
    def run_too_long(folder: Path) -> str:
        raise subprocess.TimeoutExpired(["snakemake"], 600)

    for make in (run_too_long, lambda folder: pytest.fail("made again")):
        with pytest.raises(AssertionError, match="timed out after 600 seconds"):
            once(tmp_path, "run", make)
