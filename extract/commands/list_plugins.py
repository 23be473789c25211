"""`list`: the plug-ins that a config can name."""

import argparse
import sys

from extract.core.registry import available

COMMAND = "list"
HELP = "List the dataset readers, phrase backends, grounders, extractors, artefacts and layouts."
EXAMPLE = "python -m extract list"

PACKAGES = {
    "datasets": "corpora.readers",
    "phrases": "phrases",
    "grounding": "grounding",
    "extractors": "extractors",
    "interop.artefacts": "interop.artefacts",
    "interop.layouts": "interop.layouts",
}
"""What a line is called -> its package."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> None:
    """Write one line a kind to standard output."""
    for kind, package in PACKAGES.items():
        sys.stdout.write(f"{kind}: {' '.join(available(f'extract.{package}'))}\n")
