"""Commands in forks of a process that has imported the large libraries, two to four seconds each.

Otherwise such a process is like one that a shell started: it has its own folder, environment and
output, its exit status is that of the command, and it may be killed.
"""

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
# Nothing of this project: some tests run another copy of its code.
_CONTEXT.set_forkserver_preload(
    [
        *("snakemake.cli", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm"),
        *("jsonschema", "pandas", "pulp", "requests", "smart_open", "yte", "h5py"),
        *("torch", "torchvision", "transformers.modeling_utils", "accelerate"),
    ]
)


def start(
    command: Callable[..., Any],
    *args: Any,
    output: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> ForkServerProcess:
    """Start `sys.exit(command(*args))` in a process of its own.

    Args:
        command: a function that another process can import.
        *args: of the function; they are pickled.
        output: takes stdout and stderr.
        folder: the working directory.
        environment: all of its variables.
    """
    process = _CONTEXT.Process(
        target=_be_command, args=(command, args, output, folder, dict(environment))
    )
    process.start()
    return process


def _be_command(
    command: Callable[..., Any],
    args: tuple[Any, ...],
    output: Path,
    folder: Path,
    environment: dict[str, str],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with output.open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.chdir(folder)
    try:
        sys.exit(command(*args))
    finally:
        # `multiprocessing` ends a process without them.
        atexit._run_exitfuncs()
