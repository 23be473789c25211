"""From tweets and images to phrases, boxes, crops and feature stores; one subcommand a stage."""

import sys
from collections.abc import Sequence

from extract.core.cli import main as run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m extract` and of the script `mner-extract`."""
    return run_command("extract", argv)


if __name__ == "__main__":
    sys.exit(main())
