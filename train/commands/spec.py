"""`spec`: check a run's system, options and recipe, and write them resolved."""

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.training.run_spec import RunSpec

HELP = "Check the options, the recipe and the given files of a run and write its spec."
EXAMPLE = (
    "python -m train spec --out results/specs/runs/text_crf.json "
    """--definition '{"run": "text_crf", "system": "text_crf", "recipe": {"epochs": 6}}'"""
)


logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `spec`."""
    parser.add_argument("--definition", required=True, help="run spec as JSON, defaults left out")
    parser.add_argument("--out", type=Path, required=True, help="run spec to write")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="what the run is trained on: decides what the precision `auto` becomes",
    )


def run(args: argparse.Namespace) -> None:
    """Write the run spec with every default filled in."""
    from extract.core.errors import ConfigError
    from extract.core.files import write_json
    from extract.core.options import options_from
    from extract.core.registry import load_module
    from extract.networks.weights import KINDS, check_files, check_weights, resolve_weights
    from train.data.variants import check_variant
    from train.training.run_folder.checkpoint import resolved
    from train.training.run_spec import RunSpec, check_roles

    try:
        definition = json.loads(args.definition)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--definition: not JSON ({error.msg})") from error
    where = f"models.{definition.get('run', '?')}"
    spec = options_from(RunSpec, definition, where)
    module = load_module("train.systems", spec.system)
    options = options_from(module.Options, spec.options, f"{where}.options")
    check_roles(
        f"{where}.features: {spec.system}", module.Model.required_features(options), spec.features
    )
    check_variant(spec.variant, spec.features, f"{where}.variant")
    for entry in spec.weights.values():
        if any(kind in entry for kind in KINDS):
            path = resolve_weights(entry, entry["name"])
            check_files(entry, path)
            if entry.get("sha256"):
                check_weights(entry, path)
    module.Model.check_files(options)
    write_json(args.out, resolved(_with_precision(spec, args.device)))


def _with_precision(spec: "RunSpec", device: str) -> "RunSpec":
    """Settle the precision, but for a GPU that only the training's own machine has."""
    import torch

    from train.training.run_spec import with_precision

    if device == "cuda" and not torch.cuda.is_available():
        logger.info("%s: no GPU here; precision is settled where it is trained", spec.run)
        return spec
    return with_precision(spec, device)
