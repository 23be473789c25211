"""Imports go one way between folders, and nowhere in a circle."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

PACKAGES = ("extract", "train")


def test_the_contract_is_kept(repo_root: Path) -> None:
    # In a process of its own: it would switch off the loggers of this one.
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_no_module_imports_itself_through_others(repo_root: Path) -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imported = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    # Raises an error that names the circle.
    assert len(tuple(TopologicalSorter(imported).static_order())) == len(graph.modules)


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_stand_in_folders(repo_root: Path, package: str) -> None:
    assert {path.name for path in (repo_root / package).glob("*.py")} == {
        "__init__.py",
        "__main__.py",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_says_what_it_is_for(repo_root: Path, package: str) -> None:
    silent = [
        path.relative_to(repo_root).as_posix()
        for path in (repo_root / package).rglob("__init__.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []
