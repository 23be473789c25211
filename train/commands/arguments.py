"""Arguments that several commands share: a run folder, its stores, device, threads, resamples."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from extract.core.errors import ConfigError


def add_run_argument(
    parser: argparse.ArgumentParser,
    text: str = "run folder; it holds all that is needed, pretrained weights are not looked for",
) -> None:
    """Add the folder of a finished run."""
    parser.add_argument("--run", type=Path, required=True, dest="run_folder", help=text)


def add_features_argument(parser: argparse.ArgumentParser) -> None:
    """Add where a finished run finds its stores, for `evaluate` and `predict`."""
    parser.add_argument(
        "--features",
        type=Path,
        metavar="DIR",
        help="folder of feature stores, {feature set}.h5 with the names in run.json; --store goes "
        "before it",
    )


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `fit`, `evaluate` and `predict` share: stores, device, threads, workers."""
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="ROLE=PATH",
        help="feature store of a role the system reads; repeat for each role",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads of torch (default OMP_NUM_THREADS)"
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read features ahead"
    )


def add_resamples_argument(parser: argparse.ArgumentParser) -> None:
    """Add the number of bootstrap resamples, for `summarize` and `ablate`."""
    parser.add_argument(
        "--resamples",
        type=_resamples,
        default=10_000,
        metavar="N",
        help="bootstrap resamples, 2 or more (default 10000)",
    )


def _resamples(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected a whole number of 2 or more, got {text!r}")
    return int(text)


def parse_roles(pairs: list[str], flag: str) -> dict[str, Path]:
    """Return role -> path of `--store role=path` or `--weights role=path` arguments.

    Raises:
        ConfigError: an argument without `=`, or a role twice.
    """
    return parse_paths(pairs, flag, "role=path, e.g. captions=captions.h5")


def parse_assignments(texts: Iterable[str], flag: str, form: str) -> dict[str, str]:
    """Return name -> value, in order; a value may hold an equals sign.

    Args:
        texts: values of the flag.
        flag: for messages.
        form: what is expected, for messages, e.g. `ROW=RUN`.

    Raises:
        ConfigError: one is not of this form, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (separator and name and value):
            raise ConfigError(f"{flag} {text}: expected {form}.")
        if name in found:
            raise ConfigError(f"{flag} {text}: '{name}' is given twice.")
        found[name] = value
    return found


def parse_paths(texts: Iterable[str], flag: str, form: str) -> dict[str, Path]:
    """Return name -> path; as `parse_assignments`."""
    return {name: Path(value) for name, value in parse_assignments(texts, flag, form).items()}
