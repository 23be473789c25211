"""One command line for both packages: a subcommand is a file in `<package>/commands/`."""

import argparse
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from extract.core.errors import ConfigError, MnerError
from extract.core.logs import configure_logging, printable
from extract.core.offline import set_offline
from extract.core.registry import available
from extract.core.system import explain

USER_ERROR = 2


def build_parser(package: str) -> argparse.ArgumentParser:
    """Return the parser of `python -m <package>` with one subparser a command file."""
    summary = importlib.import_module(f"{package}.__main__").__doc__
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=summary)
    parser.add_argument("--debug", action="store_true", help="tracebacks and debug log lines")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in available(f"{package}.commands"):
        module = importlib.import_module(f"{package}.commands.{name}")
        command = commands.add_parser(
            command_name(name, module),
            help=module.HELP,
            description=module.HELP,
            epilog=f"example: {module.EXAMPLE}",
            # Leaves the example on one line, to be copied.
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Also after the command; without a default, which would undo a --debug before it.
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def command_name(file: str, module: ModuleType) -> str:
    """Return what a subcommand is called: `COMMAND` of its module, else the file's name."""
    return getattr(module, "COMMAND", file.replace("_", "-"))


def json_value(text: str, where: str) -> Any:
    """Parse the JSON of a command-line value.

    Raises:
        ConfigError: it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not JSON ({error}): {text:.60}") from error


def report_error(message: str) -> None:
    """Write a message to stderr and, under Snakemake, to the file that is shown last."""
    errors, message = os.environ.get("MNER_ERROR_FILE"), printable(message)
    # The log may lie on the disk that is full: that must not hide the error from the other place.
    with suppress(OSError):
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
    if errors:
        with suppress(OSError), open(errors, "a", encoding="utf-8") as file:
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
            traceback.print_exc()
        if isinstance(error, OSError) and not isinstance(error, MnerError):
            error = MnerError(explain(error))
        report_error(f"error: {error}")
        return USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is done is kept, the same command continues\n")
        return 130
