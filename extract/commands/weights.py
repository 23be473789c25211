"""`weights`: a weights entry of the config as a checkpoint on disk, with its checksum."""

import argparse
import json
import sys
from pathlib import Path

HELP = "Write the checkpoint of a `random` entry, or find and check that of another entry."
EXAMPLE = (
    'python -m extract weights --entry \'{"random": {"config": {"kind": "vgg", "layers": "vgg16"}, '
    '"seed": 1}}\' --out results/weights/vgg16_random'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the entry and where to write it."""
    parser.add_argument("--entry", required=True, help="weights entry: JSON, or a .json file")
    parser.add_argument("--out", type=Path, help="folder to write (`random` entries)")
    parser.add_argument("--name", default="", help="key of the entry in `weights:`, for messages")


def run(args: argparse.Namespace) -> None:
    """Write one line of JSON, the path and its sha256, to standard output."""
    from extract.errors import ConfigError
    from extract.weights import check_weights, resolve_weights

    entry = _read_entry(args.entry)
    if "random" in entry:
        if args.out is None:
            raise ConfigError("weights: a `random` entry needs --out, the folder to write.")
        _write_random(entry["random"], args.out)
        path = args.out
    elif args.out is not None:
        raise ConfigError("weights: --out is only for `random` entries; others are where they are.")
    else:
        path = resolve_weights(entry, args.name or "entry")
    record = {"path": path.as_posix(), "sha256": check_weights(entry, path)}
    sys.stdout.write(json.dumps({**record, "is_random": "random" in entry}) + "\n")


def _write_random(recipe: object, out: Path) -> None:
    """Check the recipe `{config, seed}` and write its checkpoint."""
    from extract.errors import ConfigError
    from extract.random_weights import write_random_weights

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


def _read_entry(text: str) -> dict:
    """Parse the argument, or the file that it names.

    Raises:
        ConfigError: it is no JSON object.
    """
    from extract.errors import ConfigError, MissingFileError

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
