"""What the values of a config are made of, before anything walks through them.

A YAML file of a few hundred bytes can stand for billions of values (aliases of aliases), its keys
can be numbers or hold newlines, and one value can be megabytes long.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from extract.core.errors import ConfigError

MAX_VALUES = 100_000
MAX_CHARACTERS = 100_000
MAX_DEPTH = 50
"""The default config has 1,500 values, 6 deep, and no text of 1,000 characters."""


def check_values(config: Mapping[Any, Any]) -> None:
    """Check number, depth, size and types of all values, aliases counted as often as they stand.

    Raises:
        ConfigError: a limit is passed, a key is no plain text, or a value no JSON value.
    """
    waiting: list[tuple[str, int, Any]] = [("config", 0, config)]
    count = 0
    while waiting:
        where, depth, value = waiting.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise ConfigError(
                f"config: more than {MAX_VALUES} values, or more than {MAX_DEPTH} levels, e.g. at "
                f"{where[:80]}. YAML aliases (*name) count each time; write out what is meant."
            )
        if isinstance(value, Mapping):
            _check_names(value, where)
            waiting += ((f"{where}.{key}", depth + 1, below) for key, below in value.items())
        elif isinstance(value, list | tuple):
            waiting += ((where, depth + 1, below) for below in value)
        elif isinstance(value, str) and ("\0" in value or len(value) > MAX_CHARACTERS):
            raise ConfigError(f"{where}: a text with NUL or over {MAX_CHARACTERS} characters.")
        elif not isinstance(value, str | int | float | bool | None):
            raise ConfigError(
                f"{where}: expected text, number, list or mapping, got a {type(value).__name__}. "
                "Put it in quotes."
            )


def _check_names(mapping: Mapping[Any, Any], where: str) -> None:
    for key in mapping:
        if not isinstance(key, str) or not key.isprintable() or len(key) > 1000:
            raise ConfigError(f"{where}: the key {key!r:.80} is no plain text. Put it in quotes.")


# An escaped character, a class of characters, or the end of the text.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)


def _match_whole(
    _validator: Any, pattern: str, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Like JSON Schema's `pattern`, where `$` is the end, not also the newline before it."""
    whole = _PART.sub(lambda part: r"\Z" if part[0] == "$" else part[0], pattern)
    if isinstance(value, str) and not re.search(whole, value):
        examples = " or ".join(map(repr, schema.get("examples", ())))
        said = f"is not written like {examples}" if examples else f"does not match {pattern!r}"
        yield ValidationError(f"{value!r} {said}")


Validator = extend(Draft202012Validator, {"pattern": _match_whole})
"""Of JSON Schema 2020-12."""
