"""The config files as text, before YAML and Snakemake make something of them.

`python -m workflow.plan.config_files mine.yaml` says whether a file is plain settings. Do this with
a file from somebody else before giving it to Snakemake, which runs the Python in a YAML template
(`__use_yte__`) while it reads it; the rules refuse such files, but only afterwards.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from extract.core.errors import ConfigError, MissingFileError

MAX_BYTES = 1_000_000
_TEMPLATE = "__use_yte__"
_MERGE = "tag:yaml.org,2002:merge"


def check_config_files(paths: Iterable[Path | str]) -> None:
    """Check that each file is plain JSON or YAML: no template, no Python object, no key twice.

    Raises:
        ConfigError: it is not; the message names file and, of YAML, line.
        MissingFileError: no such file.
    """
    for path in map(Path, paths):
        if not path.is_file():
            raise MissingFileError(f"{path}: no such config file.")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: over {MAX_BYTES} bytes; a config holds settings alone.")
        try:
            text = path.read_text(encoding="utf-8")
            # JSON may be indented with tabs, YAML not; Snakemake, too, tries JSON first.
            if _is_json(path, text):
                continue
            # Composed, not constructed: nothing is built, and an alias is the node it stands for.
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())[:300]}") from error
        _check_node(path, root)


def _is_json(path: Path, text: str) -> bool:
    """Return whether a file is JSON, whose keys are then each once in their mapping."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        names = set()
        for name, _ in pairs:
            if name == _TEMPLATE:
                raise ConfigError(f"{path}: the key {_TEMPLATE} is for YAML. Write the values out.")
            if name in names:
                raise ConfigError(
                    f"{path}: the key {name!r:.80} is twice in one mapping; only the last would "
                    "count. Remove one."
                )
            names.add(name)

    try:
        json.loads(text, object_pairs_hook=check)
    except json.JSONDecodeError:
        return False
    return True


def _check_node(path: Path, root: Any) -> None:
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        line = node.start_mark.line + 1
        if not node.tag.startswith("tag:yaml.org,2002:") or ":python" in node.tag:
            raise ConfigError(
                f"{path}:{line}: the tag {node.tag!r:.80}; a config has plain values."
            )
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _check_keys(path: Path, node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if key.tag == _MERGE:  # `<<`, any number of times
            continue
        if name == _TEMPLATE:
            raise ConfigError(
                f"{path}:{line}: a YAML template ({_TEMPLATE}), which runs Python while it is read."
                " Write the values out."
            )
        if name in first:
            raise ConfigError(
                f"{path}:{line}: the key {name!r:.80} is also in line {first[name]}; only the last "
                "would count. Remove one."
            )
        first[name] = line


def main(argv: Sequence[str]) -> int:
    """Check the files that are named; 2 when one is refused."""
    try:
        check_config_files(argv)
    except (ConfigError, MissingFileError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
