"""`predict`: tag text without gold tags with a finished run."""

import argparse
import json
import logging
from pathlib import Path

from train.commands.arguments import (
    add_features_argument,
    add_run_argument,
    add_runtime_arguments,
)

HELP = "Tag samples with a finished run: tags, entities and how sure the CRF is of them."
EXAMPLE = (
    "python -m train predict --run results/sample/runs/ita/seed1 "
    "--samples results/sample/samples/test.jsonl --features results/sample/features "
    "--out predictions"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `predict`."""
    add_run_argument(parser)
    parser.add_argument(
        "--samples", type=Path, required=True, help="samples (.jsonl); their tags are not read"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for predictions.conll, predictions.jsonl"
    )
    parser.add_argument("--view", default="", help="view of the system (default: its first)")
    parser.add_argument(
        "--allow-other-features",
        action="store_true",
        help="also take stores of another extractor, options or weights than in training",
    )
    add_features_argument(parser)
    add_runtime_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Tag and log the summary as one JSON object."""
    from train.commands.arguments import parse_roles
    from train.evaluating.predict import PredictJob, predict
    from train.training.accelerator import set_threads
    from train.training.run_folder.stores import stores_of_run

    set_threads(args.threads)
    job = PredictJob(
        run=args.run_folder,
        samples=args.samples,
        out=args.out,
        stores=stores_of_run(args.run_folder, args.features, parse_roles(args.store, "--store")),
        view=args.view,
        allow_other_features=args.allow_other_features,
        device=args.device,
        workers=args.workers,
    )
    logger.info("%s", json.dumps(predict(job)))
