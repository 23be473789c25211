"""`python -m extract sample-drawings`: draw what the sample's vision towers learn from."""

import argparse
import logging
import os
from pathlib import Path

HELP = "Draw the pictures that the sample's vision towers learn from, for both of them."
EXAMPLE = "python -m extract sample-drawings --seed 7 --images 2500 --out drawings.safetensors"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="file to write (.safetensors)")
    parser.add_argument("--seed", type=int, default=7, help="of the drawings (default: 7)")
    parser.add_argument("--images", type=int, default=2500, help="how many (default: 2500)")
    parser.add_argument("--workers", type=int, help="drawing processes (default: one a core)")


def run(args: argparse.Namespace) -> None:
    """Draw and write one file."""
    from extract.sample.towers.drawn_inputs import draw_tower_inputs, write_tower_inputs

    workers = args.workers or os.cpu_count() or 1
    write_tower_inputs(draw_tower_inputs(args.seed, args.images, workers), args.out)
    logger.info("%s: %d drawings", args.out, args.images)
