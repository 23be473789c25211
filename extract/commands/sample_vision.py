"""`python -m extract sample-vision`: train the sample's vision tower."""

import argparse
import logging
import os
from pathlib import Path

HELP = "Train a small vision tower for the sample on drawings of its own."
EXAMPLE = "python -m extract sample-vision --out results/weights/sample_vision --seed 7"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument(
        "--architecture",
        choices=("vgg", "clip"),
        default="vgg",
        help="vgg: on whole pictures; clip: a vision transformer, on crops (default: vgg)",
    )
    parser.add_argument("--seed", type=int, default=7, help="of drawings and weights")
    parser.add_argument("--images", type=int, default=2500, help="drawings to learn from")
    parser.add_argument(
        "--drawings",
        type=Path,
        help="file of `python -m extract sample-drawings` (default: they are drawn anew)",
    )
    parser.add_argument("--epochs", type=int, help="passes over the drawings (default: 8, 12)")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto: bf16 where the processor is faster in it, else fp32 (default: auto)",
    )
    parser.add_argument("--threads", type=int, help="of torch and of drawing (default: all cores)")


def run(args: argparse.Namespace) -> None:
    """Draw, train, write the checkpoint."""
    # Waiting threads sleep instead of spinning: on a busy machine spinning is ten times slower.
    # Read when torch is loaded, hence before any import of it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from extract.sample.towers.training import train_tower

    accuracy = train_tower(
        args.out,
        args.architecture,
        seed=args.seed,
        n_images=args.images,
        drawings=args.drawings,
        epochs=args.epochs,
        threads=args.threads,
        precision=args.precision,
    )
    logger.info("%s: accuracy on its own drawings %.3f", args.out, accuracy)
