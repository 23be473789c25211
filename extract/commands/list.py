"""`list`: the plug-ins that a config can name."""

import argparse
import sys

from extract.registry import available

HELP = "List the dataset readers, phrase backends, grounders, extractors, artefacts and layouts."
EXAMPLE = "python -m extract list"

PACKAGES = (
    "datasets", "phrases", "grounding", "extractors", "interop.artefacts", "interop.layouts",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> None:
    """Write one line a kind to standard output."""
    for package in PACKAGES:
        sys.stdout.write(f"{package}: {' '.join(available(f'extract.{package}'))}\n")
