"""The property tests of tests/unit/, with other examples in every trial.

One trial is one property with a seed of its own.
"""

import contextlib
import inspect
import io
import os
import random
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from hypothesis import HealthCheck, seed, settings

# Before the tests are imported, which take their settings from these.
os.environ["PROPERTY_EXAMPLES"] = "3"
settings.register_profile(
    "fuzz",
    deadline=None,
    database=None,
    derandomize=False,
    max_examples=300,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")

NAME = "properties (hypothesis)"
UNIT = Path(__file__).resolve().parents[2] / "unit"


def find_properties() -> dict[str, Callable[[], None]]:
    """Return name -> property, of every file `test_properties_*.py`."""
    found = {}
    for path in sorted(UNIT.rglob("test_properties_*.py")):
        parts = path.relative_to(UNIT).with_suffix("").parts
        module = import_module(".".join(("tests.unit", *parts)))
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if getattr(test, "is_hypothesis_test", False):
                found[f"{path.stem}.{name}"] = test
    return found


PROPERTIES = find_properties()


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Try one property with new examples; the finding is the smallest that fails."""
    name = rng.choice(sorted(PROPERTIES))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            seed(rng.getrandbits(64))(PROPERTIES[name])()
    except Exception:
        report = f"{name}\n{said.getvalue()}{traceback.format_exc()}"
        (folder / "example.txt").write_text(report, encoding="utf-8")
        return report
    return None
