"""One full run of the tiny corpus, shared by all tests (and by all workers of pytest-xdist).

Tests that change something get a copy: Snakemake's records travel with the folder.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.watched import alone, watching
from tests.workflow.workspace import Workspace, lay_out

HERE = Path(__file__).resolve().parent
CODE = ("Snakefile", "workflow", "envs", "extract", "train")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.workflow)


def once(base: Path, name: str, make: Callable[[Path], str]) -> Path:
    """Make a folder in one process only; the others wait, and fail alike where it failed."""
    folder, log = base / name, base / f"{name}.log"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not log.exists():
            folder.mkdir()
            try:
                problem = make(folder)
            except subprocess.TimeoutExpired as error:
                problem = str(error)
            log.write_text(problem, encoding="utf-8")
    problem = log.read_text(encoding="utf-8")
    assert not problem, problem
    return folder


@pytest.fixture(scope="session")
def shared_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def watch_folder(shared_base: Path) -> Path:
    """Where `finished_run` had its home and temporary folders, and what it did outside."""
    return shared_base / "tiny_run_watched"


@pytest.fixture(scope="session")
def finished_run(shared_base: Path, repo_root: Path, watch_folder: Path) -> Path:
    """Working directory of a complete run without network; do not change it, take `workspace`."""

    def make(folder: Path) -> str:
        run = lay_out(folder, repo_root)
        run.wrapped = alone
        # A minute on two idle cores; a busy machine takes longer, and every test waits for it.
        result = run.snakemake("--cores", "2", env=watching(watch_folder), timeout=1800)
        (folder / "screen.txt").write_text(result.output, encoding="utf-8")
        return result.output if result.returncode else ""

    return once(shared_base, "tiny_run", make)


@pytest.fixture
def workspace(finished_run: Path, repo_root: Path, tmp_path: Path) -> Workspace:
    """A copy of the finished run, with all times kept."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder, symlinks=True)
    return Workspace(folder, repo_root, [folder / "overlay0.yaml"])


@pytest.fixture(scope="session")
def laid_out(shared_base: Path, repo_root: Path) -> Path:
    """Working directory before any run; do not change it, take `fresh`."""

    def make(folder: Path) -> str:
        lay_out(folder, repo_root)
        return ""

    return once(shared_base, "tiny_corpus", make)


@pytest.fixture
def fresh(laid_out: Path, repo_root: Path, tmp_path: Path) -> Workspace:
    """The tiny corpus before any run."""
    folder = tmp_path / "fresh"
    shutil.copytree(laid_out, folder)
    return Workspace(folder, repo_root, [folder / "overlay0.yaml"])


@pytest.fixture
def code_copy(repo_root: Path, tmp_path: Path) -> Path:
    """A copy of the code that a test may edit."""
    folder = tmp_path / "code"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in CODE:
        source = repo_root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder
