"""One command line for both packages: a subcommand is a file in `<package>/commands/`."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from extract.errors import MnerError
from extract.logs import configure_logging, set_offline
from extract.registry import available

USER_ERROR = 2

logger = logging.getLogger(__name__)


def build_parser(package: str) -> argparse.ArgumentParser:
    """Return the parser of `python -m <package>` with one subparser a command file."""
    summary = importlib.import_module(f"{package}.__main__").__doc__
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=summary)
    parser.add_argument("--debug", action="store_true", help="tracebacks and debug log lines")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in available(f"{package}.commands"):
        module = importlib.import_module(f"{package}.commands.{name}")
        command = commands.add_parser(
            name.replace("_", "-"),
            help=module.HELP,
            description=module.HELP,
            epilog=f"example: {module.EXAMPLE}",
        )
        command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def report_error(message: str) -> None:
    """Write a message to stderr and, under Snakemake, to the file that is shown last."""
    sys.stderr.write(message + "\n")
    errors = os.environ.get("MNER_ERROR_FILE")
    if errors:
        with open(errors, "a", encoding="utf-8") as file:
            file.write(message + "\n")


def main(package: str, argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return 0, 1 (a bug, with its traceback) or 2 (a user's error)."""
    args = build_parser(package).parse_args(argv)
    configure_logging(debug=args.debug)
    set_offline()
    try:
        return args.run(args) or 0
    except (MnerError, OSError) as error:
        if args.debug:
            raise
        if isinstance(error, OSError) and not isinstance(error, MnerError):
            place = f"{error.filename}: " if error.filename else ""
            error = MnerError(f"{place}{error.strerror or error}")
        report_error(f"error: {error}")
        return USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is done is kept, the same command continues\n")
        return 130
