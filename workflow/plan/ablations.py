"""Ablation tables of the config: each switch becomes one more entry of `models:`.

A switch is what differs from the full model; the run that it gives is trained and scored by the
rules of every other run. Run ids are `<table>-<switch>`: no entry of `models:` may hold a `-`. What
`models:` has already, controls included, is not trained twice.
"""

from collections.abc import Mapping
from typing import Any

from extract.core.errors import ConfigError, near_match
from workflow.plan.controls import control_runs, without_controls

FULL = "full"
"""Name of the first row: the model that nothing is taken from."""

ROLES = ("features", "weights")
"""Keys whose values go by role; a switch takes a role away with null."""


DECIDING = ("system", "variant", "weights", "features", "options", "recipe", "seeds", "processes")
"""Keys of a model entry that decide its scores."""


def ablation_runs(config: Mapping[str, Any], table: str) -> dict[str, str]:
    """Return row -> run id of a table, the full model first.

    Args:
        config: with the controls among its models.
        table: name in `ablations:`.

    Raises:
        ConfigError: no such table, it names no entry of `models:`, or a switch takes away what is
            not there or changes nothing.
    """
    tables, models = config["ablations"], config["models"]
    if table not in tables:
        raise ConfigError(
            f"run.ablations: no '{table}' in `ablations:`.{near_match(table, tables)} "
            f"Known: {', '.join(tables) or 'none'}."
        )
    model, switches = tables[table]["model"], tables[table]["switches"]
    if model not in models:
        raise ConfigError(
            f"ablations.{table}.model: no '{model}' in `models:`.{near_match(model, models)} "
            f"Known: {', '.join(models)}."
        )
    if FULL in switches:
        raise ConfigError(
            f"ablations.{table}.switches.{FULL}: the unchanged model has this name. Choose another."
        )
    rows = {FULL: model}
    for switch, changes in switches.items():
        where = f"ablations.{table}.switches.{switch}"
        entry = _switched(models[model], changes, where)
        rows[switch] = _same_run(models, entry) or f"{table}-{switch}"
        if rows[switch] in _controls(models) and not _same(models[rows[switch]], entry):
            raise ConfigError(
                f"{where}: its run would have the id of the control {rows[switch]}. Choose another "
                "name for the switch or the table."
            )
    return rows


def ablation_entries(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return run id -> model entry of what the tables of `run.ablations` need beyond `models:`.

    Raises:
        ConfigError: as `ablation_runs`.
    """
    entries = {}
    for table in config["run"]["ablations"]:
        full, *rows = ablation_runs(config, table).items()
        for switch, run in rows:
            if run not in config["models"]:
                changes = config["ablations"][table]["switches"][switch]
                entries[run] = _switched(config["models"][full[1]], changes, switch)
    return entries


def _same_run(models: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """Return the entry of `models:` that would give the same scores."""
    controls = _controls(models)
    for name, other in models.items():
        is_switch = "-" in name and name not in controls
        if not is_switch and _same(other, entry):
            return name
    return None


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True when two entries give the same scores."""
    return all(one.get(key) == other.get(key) for key in DECIDING)


def _controls(models: Mapping[str, Any]) -> set[str]:
    """Return the run ids of all controls."""
    return {run for model in models for run in control_runs(models, model).values()}


def _switched(entry: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a model entry with a switch's changes."""
    entry = without_controls(entry)
    switched = _merged(entry, changes)
    for key in ROLES:
        roles = entry.get(key, {})
        for role, name in changes.get(key, {}).items():
            if name is None and role not in roles:
                raise ConfigError(
                    f"{where}.{key}: the model has no role '{role}' to take away."
                    f"{near_match(role, roles)} Roles: {', '.join(roles) or 'none'}."
                )
        if key in switched:
            switched[key] = {role: name for role, name in switched[key].items() if name is not None}
    if switched == entry:
        raise ConfigError(f"{where}: nothing in it differs from the full model.")
    return switched


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with changes in it, key by key at every depth; lists are replaced."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        is_deep = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if is_deep else value
    return merged
