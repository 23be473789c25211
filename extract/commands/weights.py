"""`weights`: a weights entry of the config as a checkpoint on disk, with its checksum."""

import argparse
import json
import sys
from pathlib import Path

HELP = "Write the checkpoint of a `random` or `cut` entry, or find and check that of another entry."
EXAMPLE = (
    'python -m extract weights --entry \'{"random": {"config": {"kind": "vgg", "layers": "vgg16"}, '
    '"seed": 1}}\' --out results/weights/vgg16_random'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the entry and where to write it."""
    parser.add_argument("--entry", required=True, help="weights entry: JSON, or a .json file")
    parser.add_argument("--out", type=Path, help="folder to write (`random`, `cut`)")
    parser.add_argument("--name", default="", help="key of the entry in `weights:`, for messages")


def run(args: argparse.Namespace) -> None:
    """Write one line of JSON, the path and its sha256, to standard output."""
    from extract.core.errors import ConfigError
    from extract.networks.weights import check_files, check_weights, resolve_weights

    entry = _read_entry(args.entry)
    made = next((kind for kind in _WRITERS if kind in entry), None)
    if made is None:
        if args.out is not None:
            raise ConfigError("weights: --out is only for `random` and `cut` entries.")
        path = resolve_weights(entry, args.name or "entry")
        check_files(entry, path)
    else:
        if args.out is None:
            raise ConfigError(f"weights: a `{made}` entry needs --out, the folder to write.")
        _WRITERS[made](entry[made], args.out)
        path = args.out
    record = {"path": path.as_posix(), "sha256": check_weights(entry, path)}
    sys.stdout.write(json.dumps({**record, "is_random": "random" in entry}) + "\n")


def _write_random(recipe: object, out: Path) -> None:
    """Check the recipe `{config, seed}` and write its checkpoint."""
    from extract.core.errors import ConfigError
    from extract.networks.random_weights import write_random_weights

    is_complete = (
        isinstance(recipe, dict)
        and set(recipe) == {"config", "seed"}
        and isinstance(recipe["config"], dict)
        and type(recipe["seed"]) is int
    )
    if not is_complete:
        raise ConfigError(
            f"weights: expected random: {{config: {{kind: ...}}, seed: N}}, got {recipe!r:.100}"
        )
    write_random_weights(recipe["config"], recipe["seed"], out)


def _write_cut(recipe: object, out: Path) -> None:
    """Check the recipe `{of, layers}`, with the source's own entry as `of`, and cut."""
    from extract.core.errors import ConfigError
    from extract.networks.cut_weights import cut_weights
    from extract.networks.weights import check_files, check_weights, resolve_weights

    is_complete = (
        isinstance(recipe, dict)
        and set(recipe) == {"of", "layers"}
        and isinstance(recipe["of"], dict)
        and type(recipe["layers"]) is int
    )
    if not is_complete:
        raise ConfigError(
            f"weights: expected cut: {{of: {{...}}, layers: N}} with an entry as `of`, got "
            f"{recipe!r:.100}"
        )
    source = resolve_weights(recipe["of"], recipe["of"].get("name", "entry"))
    check_files(recipe["of"], source)
    cut_weights(source, recipe["layers"], out, sha256=check_weights(recipe["of"], source))


_WRITERS = {"random": _write_random, "cut": _write_cut}


def _read_entry(text: str) -> dict:
    """Parse the argument, or the file that it names.

    Raises:
        ConfigError: it is no JSON object.
    """
    from extract.core.errors import ConfigError, MissingFileError

    if not text.lstrip().startswith("{"):
        if not Path(text).is_file():
            raise MissingFileError(f"--entry: {text}: neither a JSON object nor a file.")
        text = Path(text).read_text(encoding="utf-8")
    try:
        entry = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--entry: not JSON ({error}).") from error
    if not isinstance(entry, dict):
        raise ConfigError(f"--entry: expected a JSON object, got {text[:60]}.")
    return entry
