"""The command line and the Snakefile start fast: nothing heavy is imported before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "accelerate", "cv2", "h5py", "matplotlib", "nltk", "pandas", "pytesseract", "scipy", "spacy",
    "textblob", "torch", "torchvision", "transformers", "ultralytics",
)  # fmt: skip

CHECK = """
import json, sys
{code}
loaded = {{name.split(".")[0] for name in sys.modules}}
sys.stderr.write(json.dumps(sorted(loaded & set({heavy!r}))))
"""


def heavy_imports(repo_root: Path, code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(code=code, heavy=HEAVY)],
        cwd=repo_root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "from extract.__main__ import main; main(['list'])",
        # What the Snakefile evaluates in every call, a dry run too.
        "import workflow.plan.catalogue, extract.networks.weights",
        "from extract.features import spec; from extract.tables import samples as manifest; from "
        "extract.corpora import prepare, statistics; from extract.core import provenance",
        "import extract.words.object_text, extract.networks.vocabularies",
    ],
    ids=["list", "snakefile", "dataset", "words"],
)
def test_nothing_heavy_is_imported(repo_root: Path, code: str) -> None:
    assert heavy_imports(repo_root, code) == []


def test_the_check_sees_heavy_imports(repo_root: Path) -> None:
    assert heavy_imports(repo_root, "import extract.store") == ["h5py"]


def test_every_plugin_is_light(repo_root: Path) -> None:
    code = """
from extract.core.registry import available, load_module
for package in ("corpora.readers", "phrases", "grounding", "extractors", "commands"):
    for name in available("extract." + package):
        load_module("extract." + package, name)
"""
    assert heavy_imports(repo_root, code) == []


def test_a_system_is_described_without_transformers(repo_root: Path) -> None:
    """Options are checked once for each run of a config; reading this library takes seconds."""
    code = """
from extract.core.registry import available, load_module
for name in available("train.systems"):
    load_module("train.systems", name)
"""
    assert set(heavy_imports(repo_root, code)) <= {"h5py", "torch"}


def test_only_the_store_imports_h5py(repo_root: Path) -> None:
    users = {
        path.relative_to(repo_root).parts[:2]
        for package in ("extract", "train")
        for path in (repo_root / package).rglob("*.py")
        if "import h5py" in path.read_text(encoding="utf-8")
    }
    assert users == {("extract", "store")}


def test_list_takes_less_than_a_second(repo_root: Path) -> None:
    """Processor time, which a busy machine does not change."""
    code = "from extract.__main__ import main; main(['list']); import time, sys; "
    code += "sys.stderr.write(str(time.process_time()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert float(done.stderr) < 1.0
