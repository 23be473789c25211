"""The run spec: which system, on which features, trained how; typos get a near match."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError, MissingFileError, near_match
from extract.core.options import options_from
from extract.networks.precision import resolve_precision
from train.data.variants import VARIANTS, WITHOUT
from train.training.recipe import Recipe


@dataclass(frozen=True)
class RunSpec:
    """One entry of the config's `models`, resolved by the workflow."""

    run: str
    """Run id: the key of the entry, e.g. `ita`; of a control `ita-shuffled`."""
    system: str
    """Folder in train/systems/."""
    variant: str = "main"
    """`main`, `shuffled`, `blank` or `without_<role>`; train/data/variants.py says what each is."""
    options: dict[str, Any] = field(default_factory=dict)
    """The system's own options."""
    recipe: Recipe = field(default_factory=Recipe)
    features: dict[str, str] = field(default_factory=dict)
    """Role -> feature-set id; the files themselves are given on the command line."""
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Role -> weights entry with its `name`, of each pretrained network it starts from."""

    def __post_init__(self) -> None:
        """Check the variant; whether the system has the role of `without_<role>` is seen later."""
        if self.variant not in VARIANTS and not self.variant.startswith(WITHOUT):
            raise ValueError(
                f"variant must be {', '.join(VARIANTS)} or {WITHOUT}<role>, got '{self.variant}'."
                f"{near_match(self.variant, VARIANTS)}"
            )


def read_run_spec(path: Path) -> RunSpec:
    """Read and check a run spec.

    Raises:
        MissingFileError: no such file.
        ConfigError: not JSON, an unknown or missing key, or a value of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such run spec.")
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
    return options_from(RunSpec, mapping, str(path))


def with_precision(spec: RunSpec, device: str) -> RunSpec:
    """Return a run spec whose precision is a value, what `auto` means on this machine.

    Args:
        spec: of the run.
        device: that it is trained on: `auto`, `cpu` or `cuda`.
    """
    precision = resolve_precision(spec.recipe.precision, device)
    return replace(spec, recipe=replace(spec.recipe, precision=precision))


def check_weights_roles(system: str, needed: Sequence[str], given: Iterable[str]) -> None:
    """Check that exactly the pretrained networks of a system are named.

    Raises:
        ConfigError: a role without weights, or weights without a role.
    """
    if set(needed) != set(given):
        raise ConfigError(
            f"{system}.weights: needs the roles {', '.join(needed) or 'none'}, "
            f"got {', '.join(given) or 'none'}."
        )


def check_roles(system: str, needed: dict[str, str], given: dict[str, Any]) -> None:
    """Check that exactly the roles which a system reads have a store.

    Raises:
        ConfigError: a role without a store, or a store without a role.
    """
    for role in given:
        if role not in needed:
            roles = ", ".join(needed) or "none"
            raise ConfigError(
                f"store '{role}': {system} reads no such role; roles: {roles}."
                f"{near_match(role, needed)}"
            )
    missing = [f"{role} ({what})" for role, what in needed.items() if role not in given]
    if missing:
        raise ConfigError(
            f"{system} needs --store role=path for: {'; '.join(missing)}. "
            "The rule merge_features makes these files."
        )
