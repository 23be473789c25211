"""A mapping from JSON or YAML becomes a frozen options dataclass, or a message that helps."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from extract.core.errors import ConfigError, near_match

T = TypeVar("T")

FilePath = Annotated[str, "names a file"]
"""Of an option: the file is an input of the workflow, and is looked for before anything runs."""


def options_from(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build `cls` from a mapping, checking every name and type.

    Lists become tuples and whole numbers become floats where the field says so; fields that are
    dataclasses are built from nested mappings. A ValueError of `cls.__post_init__` (a value out
    of range) is reported like the other errors.

    Args:
        cls: a dataclass whose fields are annotated with int, float, str, bool, tuple, list, dict,
            Literal, None, unions of these, or dataclasses.
        mapping: option name -> value, as read from JSON or YAML.
        where: what the mapping is, for messages, e.g. `models.ita.options`.

    Raises:
        ConfigError: an unknown or missing name, or a value of the wrong type.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: expected a mapping, got {_shown(mapping)}.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in mapping:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise ConfigError(
                f"{where}: unknown key '{name}'; known: {known}.{near_match(str(name), fields)}"
            )
    missing = [
        name for name, field in fields.items() if _is_required(field) and name not in mapping
    ]
    if missing:
        raise ConfigError(f"{where}: missing key{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    hints = get_type_hints(cls)
    values = {
        name: convert(value, hints[name], f"{where}.{name}") for name, value in mapping.items()
    }
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def convert(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as the type that `hint` names.

    Raises:
        ConfigError: it is of another type.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, args, hint, where)
    if origin is Literal:
        if value not in args:
            near = near_match(str(value), [str(arg) for arg in args])
            raise ConfigError(
                f"{where}: expected one of {_names(args)}, got {_shown(value)}.{near}"
            )
        return value
    if dataclasses.is_dataclass(hint):
        return options_from(hint, value, where)
    kind = origin or hint
    if kind is tuple and isinstance(value, (list, tuple)):
        return _convert_tuple(value, args, hint, where)
    if kind is list and isinstance(value, (list, tuple)):
        return [convert(item, (args or (Any,))[0], f"{where}[{i}]") for i, item in enumerate(value)]
    if kind in (dict, Mapping) and isinstance(value, Mapping):
        of_key, of_value = args or (Any, Any)
        return {
            convert(key, of_key, where): convert(item, of_value, f"{where}.{key}")
            for key, item in value.items()
        }
    return _convert_scalar(value, kind, hint, where)


def _convert_scalar(value: Any, kind: Any, hint: Any, where: str) -> Any:
    """Return an int, float, str, bool or None; a bool is never taken for a number."""
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{where}: expected a finite number, got {value}.")
        # Adding 0 turns -0.0, an equal number of other digits, into 0.0.
        return float(value) + 0.0
    if kind is int and isinstance(value, bool):
        raise _wrong_type(where, hint, value)
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    hint_text = ""
    if kind in (int, float) and isinstance(value, str):
        # YAML 1.1 reads 5e-6 as a string: it wants a dot, 5.0e-6.
        hint_text = " Write numbers without quotes, and exponents as 5.0e-6."
    raise _wrong_type(where, hint, value, hint_text)


def _convert_tuple(value: Any, args: tuple, hint: Any, where: str) -> tuple:
    """Return a tuple of fixed (`tuple[int, int]`) or any (`tuple[str, ...]`) length."""
    if not args:
        return tuple(value)
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise _wrong_type(where, hint, value)
    pairs = zip(value, args, strict=True)
    return tuple(convert(item, arg, f"{where}[{i}]") for i, (item, arg) in enumerate(pairs))


def _convert_union(value: Any, args: tuple, hint: Any, where: str) -> Any:
    """Return the value as the first member of the union that takes it."""
    for arg in args:
        try:
            return convert(value, arg, where)
        except ConfigError:
            continue
    raise _wrong_type(where, hint, value)


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _wrong_type(where: str, hint: Any, value: Any, more: str = "") -> ConfigError:
    name = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    return ConfigError(f"{where}: expected {name}, got {_shown(value)}.{more}")


def _names(values: tuple) -> str:
    return ", ".join(repr(value) for value in values)


def _shown(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"
