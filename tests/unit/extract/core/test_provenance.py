"""Provenance is what the inputs determine: the same in every run, with no trace of the machine."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from extract.core import provenance


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x", "-C", str(folder), *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def checkout(repo_root: Path, tmp_path: Path) -> Path:
    """A git checkout that holds just this module."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "extract/core").mkdir(parents=True)
    (tmp_path / "train").mkdir()
    (tmp_path / "extract/__init__.py").touch()
    (tmp_path / "extract/core/__init__.py").touch()
    shutil.copy(repo_root / "extract/core/provenance.py", tmp_path / "extract/core")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    return tmp_path


def code_version(folder: Path) -> dict:
    code = (
        "import json; from extract.core.provenance import code_version as c; print(json.dumps(c()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_commit_and_changes(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    found = code_version(checkout)
    assert (found["commit"], found["dirty"]) == (commit, False)
    # Results and notes beside the code do not change it.
    (checkout / "results.txt").touch()
    assert code_version(checkout)["dirty"] is False
    (checkout / "train/new.py").touch()
    assert code_version(checkout)["dirty"] is True


def test_a_copy_inside_another_checkout_has_no_commit(checkout: Path) -> None:
    inner = checkout / "lib/site-packages"
    shutil.copytree(checkout / "extract", inner / "extract")
    (checkout / ".gitignore").write_text("lib/\n")
    found = code_version(inner)
    assert (found["commit"], found["dirty"]) == (None, None)


def test_a_copy_without_git_has_no_commit(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    found = code_version(checkout)
    assert (found["commit"], found["dirty"]) == (None, None)


def test_versions_do_not_depend_on_what_is_loaded(repo_root: Path) -> None:
    """A run that copies all rows loads no torch, and must write the bytes of one that does."""
    code = (
        "import json, sys; from extract.core.provenance import package_versions as p; "
        "print(json.dumps([p(), 'torch' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, check=True, capture_output=True, text=True
    )
    found, is_loaded = json.loads(done.stdout)
    assert not is_loaded
    assert found == provenance.package_versions()
    assert found["numpy"] == version("numpy")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(provenance.package_versions()) == {"python", "numpy"}
