"""Every plug-in and system: what states its VERSION, the code behind it, how its value is made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from extract.core.registry import available, load_module
from extract.corpora.readers import base as readers
from extract.crops import plan
from extract.interop.layouts import base as layouts
from extract.sample.towers.training import ARCHITECTURES
from tests.golden.extracted import Extracted
from tests.golden.trained import Trained
from train.training import loop

_ENGINE = "extract.features.engine"
_IMPORT = "extract.interop.stores"
_EXPORT = "extract.interop.exports"


@dataclass(frozen=True)
class Case:
    """One plug-in or system."""

    name: str
    """Kind and name, as in `extractors.clip`."""
    version: str
    """As the code states it."""
    stated_in: tuple[str, ...]
    """Modules whose VERSION is to be raised, the first unless more than this case changed."""
    entries: tuple[str, ...]
    """Modules from which all code behind the value is reached by imports."""
    compute: Callable[[], Any]


def all_cases(folder: Path) -> list[Case]:
    """Return every plug-in and system that there is.

    Args:
        folder: empty, where values are computed.
    """
    extracted, trained = Extracted(folder), Trained(folder)
    cases = [
        *_plugins("extract.phrases", "phrases", extracted.phrases, ("extract.commands.phrases",)),
        *_plugins("extract.grounding", "grounding", extracted.rows, (_ENGINE,)),
        *_plugins("extract.extractors", "extractors", extracted.rows, (_ENGINE,)),
        *_plugins("extract.interop.artefacts", "artefacts", extracted.artefact, (_IMPORT,)),
        *_plugins(
            "extract.interop.layouts", "layouts", extracted.layout, (_EXPORT,), states=layouts
        ),
        *_plugins("extract.corpora.readers", "readers", extracted.samples, states=readers),
    ]
    entries = (
        "extract.crops.plan",
        "extract.crops.cutting",
        "extract.crops.dictionary",
        "extract.commands.crops",
    )
    cases.append(Case("crops", str(plan.VERSION), (plan.__name__,), entries, extracted.crops))
    for name, module in ARCHITECTURES.items():
        entries = (module.__name__, "extract.sample.towers.training")
        compute = partial(trained.tower, name)
        cases.append(
            Case(f"towers.{name}", str(module.VERSION), (module.__name__,), entries, compute)
        )
    for name in available("train.systems"):
        module = f"train.systems.{name}.model"
        version = load_module("train.systems", name).Model.VERSION
        entries = (module, "train.training.loop", "train.measures.inference")
        compute = partial(trained.system, name)
        cases.append(
            Case(
                f"systems.{name}",
                f"{loop.VERSION}.{version}",
                (module, loop.__name__),
                entries,
                compute,
            )
        )
    return cases


def _plugins(
    package: str,
    kind: str,
    compute: Callable[[str], Any],
    callers: tuple[str, ...] = (),
    states: ModuleType | None = None,
) -> list[Case]:
    """Return the plug-ins of a package.

    Args:
        package: whose modules they are.
        kind: the first part of their names.
        compute: name of a plug-in -> its value.
        callers: modules whose code is behind all of them.
        states: the module whose VERSION is that of all; without it each states its own.
    """
    found = []
    for name in available(package):
        module = load_module(package, name)
        stating = states or module
        found.append(
            Case(
                f"{kind}.{name}",
                str(stating.VERSION),
                (stating.__name__,),
                (module.__name__, *callers),
                partial(compute, name),
            )
        )
    return found
