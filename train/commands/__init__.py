"""The subcommands of `python -m train`, one a file.

Arguments of a command line come in. Files go out, and log lines on stderr. A stranger may
add a file with `HELP`, `EXAMPLE`, `add_arguments` and `run`; heavy imports stand inside
`run`. The file's name is the command's, or `COMMAND` says it.
"""

HELPERS = ("arguments",)
"""Modules here that are no command."""
