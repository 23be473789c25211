"""`seal`: what another program opened for writing, and did not change, is trusted again."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)

HELP = (
    "Seal a feature file again that another program opened for writing, if its checksums match. "
    "They do not cover attributes: seal only what that program did not change."
)
EXAMPLE = "python -m extract seal results/x/features/vgg16.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file."""
    parser.add_argument("file", type=Path, help="feature file without its seal")


def run(args: argparse.Namespace) -> None:
    """Check every dataset, then append the seal."""
    from extract.store.seal_again import seal_again

    was_open = seal_again(args.file)
    logger.info("%s: %s", args.file, "sealed again" if was_open else "has its seal")
