"""A whole run calls nobody, and neither reads nor writes outside its folders."""

from pathlib import Path

import pytest

from tests.watched import Watched, read_record


@pytest.fixture(scope="module")
def done(finished_run: Path, watch_folder: Path) -> Watched:
    """What Snakemake and every command that it started did outside."""
    output = (finished_run / "screen.txt").read_text(encoding="utf-8")
    return Watched(0, output, read_record(watch_folder), watch_folder / "home")


def test_no_process_calls_out(done: Watched) -> None:
    assert done.network == []


def test_results_logs_and_temporary_files_are_all_that_is_written(
    done: Watched, finished_run: Path, watch_folder: Path
) -> None:
    # The record is of all processes: it has the results.
    stores = finished_run / "results" / "tiny" / "features"
    assert any(path.startswith(str(stores)) for event, path in done.record if event == "write")
    assert done.outside(finished_run, watch_folder) == set()


def test_nothing_in_the_home_folder_decides_or_is_left(done: Watched) -> None:
    # Snakemake keeps copies of rule files in its own cache, whatever the workflow.
    caches = done.home / ".cache"
    others = {p for p in done.at_home() if not p.startswith(str(caches / "snakemake"))}
    assert others <= {str(caches)}


def test_the_temporary_folder_is_left_clean(done: Watched, watch_folder: Path) -> None:
    left = {path.name for path in (watch_folder / "tmp").iterdir()}
    # An empty folder that torch makes for what it would compile.
    assert {name for name in left if not name.startswith("torchinductor_")} == set()
