"""`evaluate`: score a finished run on a tagged split."""

import argparse
import json
import logging
from pathlib import Path

from train.commands.arguments import (
    add_features_argument,
    add_run_argument,
    add_runtime_arguments,
)

HELP = "Score a finished run on a tagged split, in every view of its system."
EXAMPLE = (
    "python -m train evaluate --run results/sample/runs/ita/seed1 "
    "--samples results/sample/samples/test.jsonl --features results/sample/features --out scores"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    add_run_argument(parser)
    parser.add_argument("--samples", type=Path, required=True, help="tagged samples (.jsonl)")
    parser.add_argument(
        "--train-samples", type=Path, help="train.jsonl, to score seen and unseen mentions apart"
    )
    parser.add_argument(
        "--images", type=Path, help="images.tsv, to score tweets with and without an image apart"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics, predictions")
    add_features_argument(parser)
    add_runtime_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluate and log the summary as one JSON object."""
    from train.commands.arguments import parse_roles
    from train.evaluating.evaluate import EvaluateJob, evaluate
    from train.training.accelerator import set_threads
    from train.training.run_folder.stores import stores_of_run

    set_threads(args.threads)
    job = EvaluateJob(
        run=args.run_folder,
        samples=args.samples,
        out=args.out,
        train_samples=args.train_samples,
        images=args.images,
        stores=stores_of_run(args.run_folder, args.features, parse_roles(args.store, "--store")),
        device=args.device,
        workers=args.workers,
    )
    logger.info("%s", json.dumps(evaluate(job)))
