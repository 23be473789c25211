"""`diagnose`: score every kept epoch of a run on test, to see what choosing there would give."""

import argparse
import json
import logging
from pathlib import Path

from train.commands.arguments import (
    add_features_argument,
    add_run_argument,
    add_runtime_arguments,
)

HELP = "Score every kept epoch of a run on test: a diagnostic, never a result."
EXAMPLE = (
    "python -m train diagnose --run results/sample/runs/ita/seed1 --features "
    "results/sample/features --samples results/sample/samples/test.jsonl --out best_test.json"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `diagnose`."""
    add_run_argument(parser, "run folder of `fit --keep-epochs all`")
    parser.add_argument("--samples", type=Path, required=True, help="tagged samples (.jsonl)")
    parser.add_argument("--out", type=Path, required=True, help="diagnosis to write, JSON")
    add_features_argument(parser)
    add_runtime_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the diagnosis and log its gap."""
    from extract.core.files import write_json
    from train.commands.arguments import parse_roles
    from train.evaluating.diagnose import DiagnoseJob, diagnose
    from train.training.accelerator import set_threads
    from train.training.run_folder.stores import stores_of_run

    set_threads(args.threads)
    stores = stores_of_run(args.run_folder, args.features, parse_roles(args.store, "--store"))
    job = DiagnoseJob(args.run_folder, args.samples, stores, args.device, args.workers)
    found = diagnose(job)
    write_json(args.out, found)
    logger.info("%s", json.dumps({key: found[key] for key in ("run", "seed", "gap")}))
