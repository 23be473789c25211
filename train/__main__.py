"""Train, evaluate, compare and report tagging systems on samples and feature stores."""

import sys
from collections.abc import Sequence

from extract.core.cli import main as run_command
from extract.core.launch import end_with_launcher


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m train` and of the script `mner-train`."""
    end_with_launcher()
    return run_command("train", argv)


if __name__ == "__main__":
    sys.exit(main())
