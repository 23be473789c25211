"""Values given on the command line under a name: `name=value`, repeated or several at once."""

from collections.abc import Iterable
from pathlib import Path

from extract.core.errors import ConfigError


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
