"""`spec`: resolve one definition and write it with the checksums of its weights."""

import argparse
from pathlib import Path

HELP = "Write the resolved spec of a feature set: options, VERSION, weights sha256, fingerprint."
EXAMPLE = (
    "python -m extract spec --out results/specs/pixels_224.json "
    """--definition '{"name": "pixels_224", "extractor": "pixels"}'"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the definition and the output."""
    parser.add_argument(
        "--definition",
        required=True,
        help="JSON {name, extractor, options, weights: {role: entry}, reads}, or @FILE of it",
    )
    parser.add_argument("--out", type=Path, required=True, help="spec file to write")


def run(args: argparse.Namespace) -> None:
    """Open the weights, fingerprint them and write the spec."""
    import dataclasses

    from extract.core.cli import json_value
    from extract.core.files import write_json
    from extract.features.spec import complete_spec

    text = args.definition
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    spec = complete_spec(json_value(text, "--definition"))
    write_json(args.out, {**dataclasses.asdict(spec), "fingerprint": spec.fingerprint})
