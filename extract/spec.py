"""What decides the values of a feature set, as canonical JSON, and its fingerprint.

A definition (names, options, weights entries) can be computed without opening anything and is what
Snakemake compares; a spec adds the checksums of the weights, and its fingerprint is in every store.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.errors import ConfigError, DataError, MissingFileError, near_match
from extract.options import options_from
from extract.registry import available, load_module

PACKAGES = ("extract.extractors", "extract.grounding", "extract.phrases")


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def load_plugin(name: str) -> tuple[str, Any]:
    """Return (package, module) of an extractor, grounder or phrase backend.

    Raises:
        ConfigError: no file of that name; the message lists the names and the nearest one.
    """
    for package in PACKAGES:
        if name in available(package):
            return package, load_module(package, name)
    known = [plugin for package in PACKAGES for plugin in available(package)]
    raise ConfigError(
        f"no extractor or grounder '{name}'; known: {', '.join(known)}.{near_match(name, known)}"
    )


def define(
    name: str,
    definition: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Any]],
    reads: Mapping[str, str],
) -> dict[str, Any]:
    """Resolve one catalogue entry.

    Args:
        name: feature-set id, for messages.
        definition: `{extractor, options?, weights?: {role: entry name}}`.
        weights: the catalogue of weights entries.
        reads: role (`phrases`, `boxes`) -> fingerprint of the definition that it reads.

    Returns:
        JSON-able `{name, extractor, version, options, weights, reads}` with every default filled.

    Raises:
        ConfigError: an unknown extractor, option, role or weights entry.
    """
    plugin = definition["extractor"]
    _, module = load_plugin(plugin)
    options = options_from(module.Options, definition.get("options") or {}, f"{name}.options")
    chosen = dict(definition.get("weights") or {})
    roles = (module.Extractor if hasattr(module, "Extractor") else module.Backend).roles
    if set(chosen) != set(roles):
        raise ConfigError(
            f"{name}.weights: {plugin} needs the roles {sorted(roles) or 'none'}, "
            f"got {sorted(chosen) or 'none'}"
        )
    for role, entry in chosen.items():
        if entry not in weights:
            raise ConfigError(
                f"{name}.weights.{role}: no weights entry '{entry}'."
                f"{near_match(entry, weights)} Add it to `weights:` in the config."
            )
    return {
        "name": name,
        "extractor": plugin,
        "version": module.VERSION,
        "options": json.loads(json.dumps(dataclasses.asdict(options))),
        "weights": {role: {"name": entry, **weights[entry]} for role, entry in chosen.items()},
        "reads": dict(reads),
    }


def definition_fingerprint(definition: Mapping[str, Any]) -> str:
    """Return the fingerprint of a definition; its name and the places of its weights do not count."""
    identity = {key: definition[key] for key in ("extractor", "version", "options", "reads")}
    return digest({**identity, "weights": definition["weights"]})


@dataclass(frozen=True)
class FeatureSpec:
    """A definition with the checksums of its weights."""

    name: str
    extractor: str
    version: int
    options: dict[str, Any]
    weights: dict[str, dict[str, Any]]
    """Role -> weights entry with `name` and `sha256`."""
    reads: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides the values: no name, no path, no runtime knob."""
        sums = {role: entry["sha256"] for role, entry in self.weights.items()}
        return digest(
            {
                "extractor": self.extractor,
                "version": self.version,
                "options": self.options,
                "weights": sums,
                "reads": self.reads,
            }
        )

    def provenance(self) -> dict[str, Any]:
        """Return the spec without paths of this machine."""
        shown = ("name", "sha256", "revision", "random", "trained", "package")
        weights = {
            role: {key: entry[key] for key in shown if key in entry}
            for role, entry in self.weights.items()
        }
        return {**dataclasses.asdict(self), "weights": weights, "fingerprint": self.fingerprint}


def complete_spec(definition: Mapping[str, Any]) -> FeatureSpec:
    """Open the weights, check or compute their sha256, and return the spec.

    Raises:
        MissingFileError: a weights file is absent.
        ConfigError: a checksum differs from the config's.
    """
    from extract.weights import check_weights, resolve_weights, weights_sha256

    weights = {}
    for role, entry in definition["weights"].items():
        path = resolve_weights(entry, entry["name"])
        check_weights(entry, path)
        weights[role] = {**entry, "sha256": weights_sha256(path)}
    return FeatureSpec(**{**definition, "weights": weights})


def read_spec(path: Path) -> FeatureSpec:
    """Read a spec file that `write_spec` wrote."""
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such spec. Make it with `python -m extract spec`.")
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    fingerprint = record.pop("fingerprint", None)
    spec = FeatureSpec(**record)
    if spec.fingerprint != fingerprint:
        raise DataError(f"{path}: was edited by hand (fingerprint differs). Write it again.")
    return spec
