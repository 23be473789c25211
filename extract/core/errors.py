"""Errors a user can cause. Each says what, where, expected vs got, and what to do."""

import difflib
from collections.abc import Iterable


class MnerError(Exception):
    """Base of every expected error; the command line prints it alone and exits with 2."""


class ConfigError(MnerError):
    """A configuration key, option or command-line value is not legal."""


class DataError(MnerError):
    """A corpus, manifest or annotation file breaks its format."""


class DamagedFileError(DataError):
    """A file is not whole: cut off, or an error page or a pointer in its place."""


class MissingFileError(MnerError):
    """A file that a stage needs (weights, corpus, store) is not there."""


class MissingToolError(MnerError):
    """A system program or optional package is not installed."""


class HeldOutError(MnerError):
    """Training asked for what is held out of it: the test split, or scores on it."""


class StoreError(MnerError):
    """A feature file is incomplete, corrupt, of another version or of other inputs."""


class ShapeError(MnerError):
    """An array has not the shape that the format or the model states."""


class BusyError(MnerError):
    """Another process is making the same result."""


def near_match(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
