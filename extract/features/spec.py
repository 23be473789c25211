"""What decides the values of a feature set, as canonical JSON, and its fingerprint.

A definition (names, options, weights entries) can be computed without opening anything and is what
Snakemake compares; a spec adds the checksums of the weights, and its fingerprint is in every store.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.core.digests import digest
from extract.core.errors import ConfigError, DataError, MissingFileError, near_match
from extract.core.options import options_from
from extract.core.registry import available, load_module

PACKAGES = ("extract.extractors", "extract.grounding", "extract.phrases")


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
    chosen = dict(definition.get("weights") or {})
    for role, entry in chosen.items():
        if entry not in weights:
            raise ConfigError(
                f"{name}.weights.{role}: no weights entry '{entry}'."
                f"{near_match(entry, weights)} Add it to `weights:` in the config."
            )
    entries = {role: {"name": entry, **weights[entry]} for role, entry in chosen.items()}
    return fill_defaults(
        {
            "name": name,
            "extractor": definition["extractor"],
            "options": definition.get("options"),
            "weights": entries,
            "reads": dict(reads),
        }
    )


def fill_defaults(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition with its VERSION and every default option, checked.

    Args:
        definition: `{name, extractor}` and where wanted `version` (which must be the code's),
            `options`, `weights` (role -> entry with its `name`) and `reads`.

    Raises:
        ConfigError: an unknown key, extractor, option or role, or another VERSION.
    """
    given = options_from(_Definition, definition, "definition")
    _, module = load_plugin(given.extractor)
    if given.version not in (None, module.VERSION):
        raise ConfigError(
            f"{given.name}: {given.extractor} is at VERSION {module.VERSION}, the definition is "
            f"for {given.version}"
        )
    options = options_from(module.Options, given.options or {}, f"{given.name}.options")
    plugin = module.Extractor if hasattr(module, "Extractor") else module.Backend
    # Of an instance: options may switch off what a role is for.
    roles = plugin(options).roles
    if set(given.weights) != set(roles):
        raise ConfigError(
            f"{given.name}.weights: {given.extractor} needs the roles {sorted(roles) or 'none'}, "
            f"got {sorted(given.weights) or 'none'}"
        )
    filled = dataclasses.asdict(dataclasses.replace(given, version=module.VERSION))
    return {**filled, "options": json.loads(json.dumps(dataclasses.asdict(options)))}


@dataclass(frozen=True)
class _Definition:
    name: str
    extractor: str
    version: int | None = None
    options: dict[str, Any] | None = None
    weights: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    reads: dict[str, str] = dataclasses.field(default_factory=dict)


def definition_digest(definition: Mapping[str, Any]) -> str:
    """Return the fingerprint of a definition, which decides what Snakemake reruns.

    Its name does not count, nor do the name and the way to fetch its weights. Where a weights entry
    states its sha256 the place does not count either; otherwise the place is all that is known.
    """
    identity = {key: definition[key] for key in ("extractor", "version", "options", "reads")}
    weights = {role: _identity(entry) for role, entry in definition["weights"].items()}
    return digest({**identity, "weights": weights})


def _identity(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry.get("sha256"):
        return {"sha256": str(entry["sha256"]).lower()}
    return {key: value for key, value in entry.items() if key not in ("name", "fetch", "sha256")}


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
        shown = ("name", "sha256", "revision", "random", "trained", "cut", "package")
        weights = {
            role: {key: entry[key] for key in shown if key in entry}
            for role, entry in self.weights.items()
        }
        return {**dataclasses.asdict(self), "weights": weights, "fingerprint": self.fingerprint}


def complete_spec(definition: Mapping[str, Any]) -> FeatureSpec:
    """Open the weights, check or compute their sha256, and return the spec.

    Args:
        definition: as `fill_defaults` takes it; what is left out is the default.

    Raises:
        MissingFileError: a weights file is absent.
        DamagedFileError: a weights file is not whole.
        ConfigError: the definition is not legal, or a checksum differs from the config's.
    """
    from extract.networks.weights import check_files, check_weights, resolve_weights

    filled, weights = fill_defaults(definition), {}
    for role, entry in filled["weights"].items():
        named = {"name": role, **entry}
        path = resolve_weights(named, named["name"])
        check_files(named, path)
        weights[role] = {**named, "sha256": check_weights(named, path)}
    return FeatureSpec(**{**filled, "weights": weights})


def read_spec(path: Path) -> FeatureSpec:
    """Read a spec file that the command `spec` wrote.

    Raises:
        MissingFileError: no such file.
        DataError: it is no spec, or was changed in what decides the values.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such spec. Make it with `python -m extract spec`.")
    try:
        record = json.loads(Path(path).read_bytes())
        fingerprint = record.pop("fingerprint", None)
        spec = FeatureSpec(**record)
        found = spec.fingerprint
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{path}: is not a spec ({error}). Write it again.") from error
    if found != fingerprint:
        raise DataError(f"{path}: was edited by hand (fingerprint differs). Write it again.")
    return spec
