"""`export-checkpoint`: weights of a run as the authors' code reads them."""

import argparse
import json
import logging
from pathlib import Path

HELP = "Write a run's weights under the names of the system's released code."
EXAMPLE = "python -m train export-checkpoint --run runs/acn_released --out model.pt"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `export-checkpoint`."""
    parser.add_argument("--run", type=Path, required=True, dest="run_folder", help="run folder")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="state dict to write; tables (acn: words, chars; ita: states) go to <out>.<table>",
    )


def run(args: argparse.Namespace) -> None:
    """Export and log the summary as one JSON object."""
    from train.training.run_folder.conversion import export_checkpoint

    logger.info("%s", json.dumps(export_checkpoint(args.run_folder, args.out)))
