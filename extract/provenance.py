"""What made a file, as far as the inputs determine it: no time, user, host or absolute path."""

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Import name -> distribution, of the packages that can change a value.
_PACKAGES = {
    "accelerate": "accelerate",
    "h5py": "h5py",
    "nltk": "nltk",
    "numpy": "numpy",
    "PIL": "pillow",
    "pytesseract": "pytesseract",
    "spacy": "spacy",
    "textblob": "textblob",
    "torch": "torch",
    "torchcrf": "pytorch-crf",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "ultralytics": "ultralytics",
}


@cache
def code_version() -> dict[str, Any]:
    """Return the project's version, git commit and whether the tree had changes."""
    root = Path(__file__).resolve().parent.parent
    try:
        released = version("mner-pipeline")
    except PackageNotFoundError:
        released = None
    try:
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
    """Return Python's version and those of the loaded packages that can change a value."""
    loaded = {
        distribution: version(distribution)
        for module, distribution in sorted(_PACKAGES.items())
        if module in sys.modules
    }
    return {"python": platform.python_version(), **loaded}
