"""Overlays of the config with what YAML and the rules should not take."""

import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.mutations import mutate
from tests.fuzz.refusal import may_refuse
from workflow.plan.catalogue import Catalogue, check_config
from workflow.plan.config_files import check_config_files
from workflow.plan.config_values import check_values

NAME = "configs"

_WORKFLOW = Path(__file__).parents[3] / "workflow"
_NAME = re.compile(r"[a-z0-9_]+")
_VALUES = (
    "!!python/object/apply:os.system ['touch pwned']", "&a [*a]", "*a", "<<: *a", "~", ".inf",
    '"a\\nb"', '"\\0"', "{? [1, 2] : 3}", "2020-01-01", "!!binary aGk=", "0x1F", "no", '"\\e[2J"',
)  # fmt: skip
"""As YAML."""
_PARSED = (
    "a'; touch pwned; '", "$(touch pwned)", "../../etc/passwd", "a\nb", "\0", "", "-x", "é", [], {},
    {1: 2}, {"\n": 1}, -1, 10**30, float("inf"), float("nan"), True, None, "\x1b[2J",
    "{wildcards.dataset}", "{", "x" * 3000, ["a", 1], {"name": "x"}, "main", 0, 1, "8GB\n",
)  # fmt: skip
"""As values, and where they are texts as keys."""


@cache
def _texts() -> tuple[str, dict[str, Any]]:
    default = (_WORKFLOW / "config/default.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load((_WORKFLOW / "schemas/config.schema.yaml").read_text(encoding="utf-8"))
    return default, schema


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Check one changed config: it is refused, or its names can stand in paths and commands."""
    text, schema = _texts()
    if rng.random() < 0.3:
        return _check_text(folder / "config.yaml", text, rng)
    config = yaml.safe_load(text)
    for _ in range(rng.randint(1, 2)):
        _change_value(config, rng)
    (folder / "config.txt").write_text(ascii(config))
    with may_refuse():
        check_config(config, schema)
    for kind in ("datasets", "weights", "phrases", "feature_sets", "exports", "models"):
        for name in config.get(kind, {}):
            if not _NAME.fullmatch(name):
                return f"{kind}: the name {name!r} is taken"
    try:
        with may_refuse():
            Catalogue(config)
    except KeyError as error:
        # Snakemake fills in defaults before this; without them a key of the schema is absent.
        return None if str(error)[1:-1].isidentifier() else f"KeyError {error}"
    return None


def _check_text(path: Path, text: str, rng: random.Random) -> None:
    """Check a changed file; what is accepted is YAML of plain values."""
    for _ in range(rng.randint(1, 3)):
        text = _change_line(text, rng)
    data = text.encode()
    path.write_bytes(mutate(data, rng) if rng.random() < 0.2 else data)
    with may_refuse():
        check_config_files([path])
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError):  # of a value, e.g. a date; Snakemake stops here, too
        return
    if isinstance(config, dict):
        with may_refuse():
            check_values(config)


def _change_value(config: dict[str, Any], rng: random.Random) -> None:
    """Put a strange value somewhere, or a strange name over something."""
    node: Any = config
    while True:
        key = rng.choice(sorted(node, key=str))
        if not isinstance(node[key], dict) or not node[key] or rng.random() < 0.2:
            break
        node = node[key]
    value = rng.choice(_PARSED)
    if isinstance(value, str) and rng.random() < 0.4:
        node[value] = node.pop(key)
    else:
        node[key] = value


def _change_line(text: str, rng: random.Random) -> str:
    """Put a strange value, a strange key or a copy in place of a line."""
    lines = text.split("\n")
    place = rng.choice([i for i, line in enumerate(lines) if re.match(r" *[a-z0-9_]+:", line)])
    indent, key = re.match(r"( *)([a-z0-9_]+):", lines[place]).groups()
    how = rng.randrange(3)
    if how == 0:
        lines[place] = f"{indent}{key}: {rng.choice(_VALUES)}"
    elif how == 1:
        lines[place] = lines[place].replace(f"{key}:", f"{rng.choice(_VALUES)}:", 1)
    else:
        lines.insert(place, lines[place])
    return "\n".join(lines)
