"""`import-checkpoint`: a run folder from weights that the authors' code saved."""

import argparse
import json
import logging
from pathlib import Path

HELP = "Make a run folder from a checkpoint of a system's released code."
EXAMPLE = (
    "python -m train import-checkpoint --system vec_mner --checkpoint best_model.pth "
    "--weights encoder=weights/bert --weights vision=weights/clip "
    "--entity-types PER LOC ORG MISC --out runs/vec_mner_released"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `import-checkpoint`."""
    parser.add_argument("--system", required=True, help="folder name in train/systems/")
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="state dict, written by torch.save"
    )
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    parser.add_argument(
        "--entity-types",
        nargs="+",
        required=True,
        metavar="TYPE",
        help="types in the order of the checkpoint's tags",
    )
    parser.add_argument(
        "--options",
        default="{}",
        help="JSON: options that differ from those of the checkpoint or, where it names none, of "
        "the released code (Options.upstream)",
    )
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="ROLE=PATH",
        help="checkpoint folder of a pretrained network, for its config and tokenizer",
    )
    parser.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="names of rows in their order, one a line; acn: words and chars; ita: states, if the "
        "checkpoint is a bare state dict",
    )
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="ROLE=PATH",
        help="store of the features that the run is to expect; without it, `predict` needs "
        "--allow-other-features",
    )


def run(args: argparse.Namespace) -> None:
    """Import and log the summary as one JSON object."""
    from extract.core.cli import json_value
    from train.commands.arguments import parse_roles
    from train.training.run_folder.conversion import ImportJob, import_checkpoint

    job = ImportJob(
        system=args.system,
        checkpoint=args.checkpoint,
        out=args.out,
        entity_types=args.entity_types,
        options=json_value(args.options, "--options"),
        weights=parse_roles(args.weights, "--weights"),
        tables=parse_roles(args.table, "--table"),
        stores=parse_roles(args.store, "--store"),
    )
    logger.info("%s", json.dumps(import_checkpoint(job)))
