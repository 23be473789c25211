"""What made a file, as far as the inputs determine it: no time, user, host or absolute path."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Distributions that can change a value.
_PACKAGES = (
    "accelerate",
    "h5py",
    "nltk",
    "numpy",
    "pillow",
    "pytorch-crf",
    "spacy",
    "textblob",
    "torch",
    "torchvision",
    "transformers",
    "ultralytics",
)


@cache
def code_version() -> dict[str, Any]:
    """Return the project's version, git commit and whether the tree had changes.

    Commit and changes are None where the code is not in a git checkout of its own.
    """
    root = Path(__file__).resolve().parents[2]
    try:
        released = version("mner-pipeline")
    except PackageNotFoundError:
        released = None
    try:
        # An installed copy may lie inside another project's checkout.
        _git(root, "ls-files", "--error-unmatch", "extract/core/provenance.py")
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--", "extract", "train"))
    except (OSError, subprocess.CalledProcessError):
        commit, dirty = None, None
    return {"version": released, "commit": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return Python's version and those of the installed packages that can change a value.

    Not only of the loaded ones: a job that continues or copies rows loads fewer, and must still
    write the same bytes.
    """
    found = {"python": platform.python_version()}
    for distribution in _PACKAGES:
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return found
