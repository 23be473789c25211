"""`list`: the tagging systems that a config can name."""

import argparse
import sys

from extract.core.registry import available

COMMAND = "list"
HELP = "List the tagging systems."
EXAMPLE = "python -m train list"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> None:
    """Write one line to standard output."""
    sys.stdout.write(f"models: {' '.join(available('train.systems'))}\n")
