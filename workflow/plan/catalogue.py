"""The config as the rules see it: what is selected, what it reads, where it goes.

Nothing heavy is imported: every `snakemake` call evaluates this, a dry run too.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from extract.core.digests import canonical, digest
from extract.core.errors import ConfigError, near_match
from extract.core.options import options_from
from extract.core.registry import available, load_module
from extract.features.spec import define, definition_digest, load_plugin
from train.data.variants import check_variant
from workflow.plan.ablations import ablation_entries, ablation_runs
from workflow.plan.controls import control_entries, control_runs

READS = ("phrases", "boxes")


def check_keys(config: Mapping[str, Any], schema: Mapping[str, Any], where: str = "config") -> None:
    """Refuse unknown keys with the nearest legal one, before the schema's own longer message.

    Raises:
        ConfigError: a key that the schema does not know.
    """
    known = schema.get("properties", {})
    entries = schema.get("additionalProperties")
    for key, value in config.items():
        if key in known:
            below = known[key]
        elif isinstance(entries, Mapping):
            below = entries
        elif entries is False:
            raise ConfigError(
                f"{where}: unknown key '{key}'.{near_match(key, known)} "
                f"Known: {', '.join(known)}. workflow/config/default.yaml explains each."
            )
        else:
            continue
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            check_keys(value, below, f"{where}.{key}")


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check names, then values, each with one line that says where and what.

    Raises:
        ConfigError: the config is not what the schema says.
    """
    from jsonschema.exceptions import best_match

    from workflow.plan.config_values import Validator, check_values

    check_values(config)
    check_keys(config, schema)
    error = best_match(Validator(schema).iter_errors(config))
    if error is None:
        return
    where = ".".join(["config", *map(str, error.absolute_path)])
    meaning = error.schema.get("description", "")
    raise ConfigError(
        f"{where}: {error.message}. {meaning} workflow/config/default.yaml explains each key."
    )


class Catalogue:
    """The validated config with names resolved.

    Raises (on construction):
        ConfigError: `run:` or an entry names something that is not in the catalogue.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = with_derived_runs(config)
        self.run = config["run"]
        self._definitions: dict[str, dict[str, Any]] = {}
        self._refuse_shared_names()
        for kind in ("datasets", "feature_sets", "exports", "models"):
            for name in self.run[kind]:
                self.entry(kind, name, f"run.{kind}")
        for name, entry in config["datasets"].items():
            check_plugin("extract.corpora.readers", entry["reader"], f"datasets.{name}.reader")
        for name, entry in config["weights"].items():
            if "cut" in entry:
                self.entry("weights", entry["cut"]["of"], f"weights.{name}.cut.of")
        self._check_models()
        self._check_seeds()
        self.check_images(self.feature_sets)
        for name in (*self.feature_sets, *self.phrase_sets, *self.ablated_sets):
            self.fingerprint(name)

    def entry(self, kind: str, name: str, where: str) -> dict[str, Any]:
        """Return one catalogue entry.

        Raises:
            ConfigError: there is none; the message gives the near match.
        """
        entries = self.config[kind]
        if kind == "feature_sets":
            # An imported store stands wherever a computed one does.
            entries = {**self.config["imports"], **entries}
        if name not in entries:
            raise ConfigError(
                f"{where}: no '{name}' in `{kind}:`.{near_match(name, entries)} "
                f"Known: {', '.join(entries)}."
            )
        return entries[name]

    def definition(self, name: str) -> dict[str, Any]:
        """Return the resolved definition of a feature set or a phrase set."""
        if name not in self._definitions:
            kind = "phrases" if name in self.config["phrases"] else "feature_sets"
            entry = self.entry(kind, name, kind)
            reads = {role: self.fingerprint(entry[role]) for role in READS if entry.get(role)}
            try:
                self._definitions[name] = define(name, entry, self.config["weights"], reads)
            except ConfigError as error:
                place = f"{kind}." if str(error).startswith(name) else f"{kind}.{name}: "
                raise ConfigError(f"{place}{error}") from None
        return self._definitions[name]

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of a definition: what Snakemake compares to rerun jobs."""
        if name in self.config["imports"]:
            return digest(self.import_definition(name))
        return definition_digest(self.definition(name))

    def import_definition(self, name: str) -> dict[str, Any]:
        """Return kind, its VERSION and every option of an import.

        Raises:
            ConfigError: an unknown kind or option.
        """
        entry = self.config["imports"][name]
        check_plugin("extract.interop.artefacts", entry["kind"], f"imports.{name}.kind")
        module = load_module("extract.interop.artefacts", entry["kind"])
        options = options_from(module.Options, entry["options"], f"imports.{name}.options")
        return {
            "kind": entry["kind"],
            "version": module.VERSION,
            "options": dataclasses.asdict(options),
        }

    def definition_json(self, name: str) -> str:
        """Return a definition as canonical JSON."""
        return canonical(self.definition(name))

    @cached_property
    def grounders(self) -> tuple[str, ...]:
        """Feature sets that ground phrases."""
        return self.of_kind("boxes")

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Return the feature sets and imports whose rows are of a kind (`Extractor.gives`)."""
        sets, imports = self.config["feature_sets"].items(), self.config["imports"].items()
        computed = [n for n, entry in sets if _computed_kind(n, entry["extractor"]) == kind]
        imported = [n for n, entry in imports if self._imported_kind(n, entry["kind"]) == kind]
        return (*computed, *imported)

    def _imported_kind(self, name: str, kind: str) -> str:
        """Return what an import's rows are: `boxes`, `captions`, `features` or `context`."""
        check_plugin("extract.interop.artefacts", kind, f"imports.{name}.kind")
        return load_module("extract.interop.artefacts", kind).GIVES

    @cached_property
    def feature_sets(self) -> tuple[str, ...]:
        """Everything to compute: what `run:` names, what its models use, and what these read."""
        names = list(self.run["feature_sets"])
        for model in self.run["models"]:
            names += self.model_features(model).values()
        for export in self.run["exports"]:
            names += self.export_sets(export)
        return self.closure(names)

    def closure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return these feature sets and the grounding stores that they read."""
        waiting, closure = list(names), dict[str, None]()
        while waiting:
            name = waiting.pop(0)
            boxes = self.entry("feature_sets", name, "run.feature_sets").get("boxes")
            waiting += [boxes] if boxes else []
            closure[name] = None
        return tuple(closure)

    @cached_property
    def phrase_sets(self) -> tuple[str, ...]:
        """Phrase sets that the selected grounders read."""
        read = [self.entry("feature_sets", n, "run").get("phrases") for n in self.feature_sets]
        return tuple(dict.fromkeys(name for name in read if name))

    def model_features(self, model: str) -> dict[str, str]:
        """Return role -> feature set of a model entry."""
        features = self.config["models"][model].get("features") or {}
        for role, name in features.items():
            self.entry("feature_sets", name, f"models.{model}.features.{role}")
        return dict(features)

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """The selected runs: each model of `run.models`, followed by its controls."""
        models = self.config["models"]
        runs = [[name, *control_runs(models, name).values()] for name in self.run["models"]]
        return tuple(dict.fromkeys(name for group in runs for name in group))

    @cached_property
    def ablated(self) -> tuple[str, ...]:
        """Runs of the selected ablation tables, full models included."""
        tables = [ablation_runs(self.config, table) for table in self.run["ablations"]]
        return tuple(dict.fromkeys(run for rows in tables for run in rows.values()))

    @cached_property
    def ablated_sets(self) -> tuple[str, ...]:
        """Feature sets that these runs read; made only for the target that trains them."""
        return tuple({n: None for run in self.ablated for n in self.model_features(run).values()})

    def needs(self, name: str) -> frozenset[str]:
        """Return what the extractor of a feature set reads of a corpus: image, captions, ..."""
        return load_plugin(self.config["feature_sets"][name]["extractor"])[1].Extractor.needs

    def seeds(self, model: str, dataset: str) -> list[int]:
        """Return the seeds of a model entry on a dataset: its own, or those of `run:`.

        None at all where the entry names the seeds of other datasets only.
        """
        own = self.config["models"][model].get("seeds")
        if isinstance(own, Mapping):
            return own.get(dataset, [])
        return self.run["seeds"] if own is None else own

    def export_sets(self, export: str) -> list[str]:
        """Return the grounding stores and feature sets that an export writes."""
        entry = self.entry("exports", export, "run.exports")
        check_plugin("extract.interop.layouts", entry["layout"], f"exports.{export}.layout")
        crops = [entry[role] for role in ("crops", "detector_crops") if entry[role]]
        for name in crops:
            if name not in self.grounders:
                raise ConfigError(
                    f"exports.{export}: crops need a grounding store, '{name}' is none. Known: "
                    f"{', '.join(self.grounders)}."
                )
        names = [*crops, *entry["stores"].values()]
        for name in names:
            self.entry("feature_sets", name, f"exports.{export}")
        return names

    def weights_input(self, names: Iterable[str]) -> list[str]:
        """Return the files and folders that rules of ours make for these weights entries."""
        made = ("trained", "random", "cut")
        entries = self.config["weights"]
        return [f"results/weights/{n}" for n in names if any(key in entries[n] for key in made)]

    def _refuse_shared_names(self) -> None:
        """One name in two catalogues of things that are read would mean either."""
        owner: dict[str, str] = {}
        for kind in ("phrases", "feature_sets", "imports"):
            for name in self.config[kind]:
                if owner.setdefault(name, kind) != kind:
                    raise ConfigError(
                        f"{kind}.{name}: `{owner[name]}` has that name. Choose another."
                    )

    def _check_models(self) -> None:
        """System and weights of every selected model exist; its options are checked by a rule."""
        for name in (*self.runs, *self.ablated):
            self.check_model(name)

    def _check_seeds(self) -> None:
        """Seeds by dataset name datasets that there are."""
        for name, entry in self.config["models"].items():
            for key in ("seeds", "control_seeds"):
                if isinstance(entry.get(key), Mapping):
                    for dataset in entry[key]:
                        self.entry("datasets", dataset, f"models.{name}.{key}")

    def check_model(self, name: str) -> None:
        """See that system, weights, feature sets and variant of a model entry exist.

        Raises:
            ConfigError: one does not.
        """
        model = self.config["models"][name]
        check_plugin("train.systems", model["system"], f"models.{name}.system")
        for role, entry in model["weights"].items():
            self.entry("weights", entry, f"models.{name}.weights.{role}")
        roles = self.model_features(name)
        check_variant(model.get("variant", "main"), roles, f"models.{name}.variant")

    def check_images(self, feature_sets: Iterable[str]) -> None:
        """See that no image extractor is asked of a corpus without images.

        Raises:
            ConfigError: one is; the message names it and the corpus.
        """
        for dataset in self.run["datasets"]:
            if self.config["datasets"][dataset].get("images"):
                continue
            for name in feature_sets:
                if name in self.config["imports"]:
                    continue
                extractor = self.config["feature_sets"][name]["extractor"]
                if self.needs(name) != {"captions"}:
                    raise ConfigError(
                        f"feature_sets.{name}: {extractor} reads images, but datasets.{dataset} "
                        "has none (`images: null`). Give it an image folder or select other "
                        "features."
                    )


def with_derived_runs(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the controls and the runs of ablation tables among its models.

    Raises:
        ConfigError: a control or a table that cannot be meant.
    """
    controlled = {**config, "models": {**config["models"], **control_entries(config["models"])}}
    return {**config, "models": {**controlled["models"], **ablation_entries(controlled)}}


def check_plugin(package: str, name: str, where: str) -> None:
    """See that a package has a file of that name.

    Raises:
        ConfigError: it has none; the message lists the names and the nearest one.
    """
    known = available(package)
    if name not in known:
        raise ConfigError(
            f"{where}: no '{name}' in {package.replace('.', '/')}/; known: {', '.join(known)}."
            f"{near_match(name, known)}"
        )


def _computed_kind(name: str, extractor: str) -> str:
    """Return what a feature set's rows are (`Extractor.gives`)."""
    try:
        _, plugin = load_plugin(extractor)
    except ConfigError as error:
        raise ConfigError(f"feature_sets.{name}: {error}") from None
    return plugin.Extractor.gives


def source_version(module: Path) -> int:
    """Return VERSION as a module's source states it (1 where it does not).

    Not imported: the modules of training import torch, which takes seconds.
    """
    stated = re.search(r"^ *VERSION\b[^=\n]*= (\d+)$", module.read_text("utf-8"), re.MULTILINE)
    return int(stated[1]) if stated else 1


def file_options(module: Path) -> list[str]:
    """Return the options of a system that name a file, as its source annotates them.

    Not imported, as above.
    """
    return re.findall(r"^    (\w+): [^=\n]*\bFilePath\b", module.read_text("utf-8"), re.MULTILINE)


@cache
def folder_state(path: str) -> str:
    """Return a checksum of the paths below a folder, sizes and times of all files in it."""
    files = []
    for folder, _, names in os.walk(path):
        below = os.path.relpath(folder, path)
        for name in names:
            stat = _link_or_target(os.path.join(folder, name))
            # A name may hold bytes that are not UTF-8.
            place = ascii(os.path.normpath(os.path.join(below, name)))
            files.append([place, stat.st_size, stat.st_mtime_ns])
    return digest(sorted(files))


def _link_or_target(path: str) -> os.stat_result:
    """Return the state of a file; of the link itself where it leads nowhere."""
    try:
        return os.stat(path)
    except OSError:
        return os.lstat(path)


def existing(path: str, remedy: str) -> str:
    """Return `path` if it is there.

    Raises:
        ConfigError: naming the path and what to do.
    """
    if not Path(path).exists():
        raise ConfigError(f"{path}: no such file or folder. {remedy}")
    return path
