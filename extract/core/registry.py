"""Name -> module: one plug-in is one file or folder, and its name is the plug-in's.

Nothing heavy is imported here, and no central list exists: a new file is found by itself.
"""

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from extract.core.errors import ConfigError, near_match

_NOT_PLUGINS = {"__init__", "base"}
"""Besides these, what a package's `__init__.py` names in `HELPERS` is no plug-in."""


@cache
def available(package: str) -> tuple[str, ...]:
    """Return the sorted plug-in names of a package such as `extract.extractors`."""
    module = importlib.import_module(package)
    folder = Path(module.__file__).parent
    found = {path.stem for path in folder.glob("*.py")}
    found |= {path.parent.name for path in folder.glob("*/__init__.py")}
    return tuple(sorted(found - _NOT_PLUGINS - set(getattr(module, "HELPERS", ()))))


def load_module(package: str, name: str) -> ModuleType:
    """Import the module of one plug-in.

    Raises:
        ConfigError: no file of that name; the message lists the names and the nearest one.
    """
    names = available(package)
    if name not in names:
        kind = package.rsplit(".", 1)[-1]
        raise ConfigError(
            f"{kind}: no '{name}'; known: {', '.join(names)}.{near_match(name, names)}"
        )
    return importlib.import_module(f"{package}.{name}")
