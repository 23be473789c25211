"""`check-overlap`: refuse a corpus whose held-out tweets stand in what is learned from."""

import argparse
import json
from pathlib import Path

HELP = "Refuse splits that share more tweets than is allowed, by the audit of the corpus."
EXAMPLE = (
    "python -m extract check-overlap --audit results/sample/audit.json --max-overlap 0.02 "
    "--out results/sample/overlap.json"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the audit, the share and the result."""
    parser.add_argument("--audit", type=Path, required=True, help="what `audit --json` printed")
    parser.add_argument(
        "--max-overlap",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="largest share (0-1) of test in train or valid, and of valid in train (default 0.02)",
    )
    parser.add_argument("--out", type=Path, required=True, help="shares found, JSON")


def run(args: argparse.Namespace) -> None:
    """Write the shares, or fail with the tweets.

    Raises:
        ConfigError: a share outside 0-1.
        DataError: more than this overlaps, or two splits are equal; or the file is no audit.
        MissingFileError: there is no audit.
    """
    from extract.atomic import write_json
    from extract.audit.overlap import refuse_overlap
    from extract.errors import ConfigError, DataError, MissingFileError

    if not 0 <= args.max_overlap <= 1:
        raise ConfigError(f"--max-overlap: expected a share, 0-1, got {args.max_overlap}")
    if not args.audit.is_file():
        raise MissingFileError(
            f"{args.audit}: no such file. `python -m extract audit DIR --json` prints its content."
        )
    try:
        report = json.loads(args.audit.read_text(encoding="utf-8"))
        found = report["overlap"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{args.audit}: not what `python -m extract audit DIR --json` prints ({error!r})."
        ) from error
    refuse_overlap(found, args.max_overlap, listed_in=f"`overlap` in {args.audit}")
    shares = [{key: value for key, value in pair.items() if key != "twins"} for pair in found]
    write_json(args.out, {"max_overlap": args.max_overlap, "overlap": shares})
