"""`check-overlap`: refuse a corpus whose held-out tweets stand in what is learned from."""

import argparse
from pathlib import Path

from extract.corpora.audit.overlap import MAX_OVERLAP

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
        default=MAX_OVERLAP,
        metavar="SHARE",
        help="largest share (0-1) of test in train or valid, and of valid in train (default "
        f"{MAX_OVERLAP})",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="shares found and fingerprints of the splits, JSON"
    )


def run(args: argparse.Namespace) -> None:
    """Write the shares and the fingerprints of the splits, or fail with the first tweets.

    Raises:
        ConfigError: a share outside 0-1.
        DataError: more than this overlaps, or two splits are equal; or the file is no audit.
        MissingFileError: there is no audit.
    """
    from extract.core.errors import ConfigError
    from extract.corpora.audit.overlap import refuse_overlap
    from extract.corpora.audit.overlap_file import read_audit, write_overlap

    if not 0 <= args.max_overlap <= 1:
        raise ConfigError(f"--max-overlap: expected a share, 0-1, got {args.max_overlap}")
    found = read_audit(args.audit)
    refuse_overlap(found.pairs, args.max_overlap, listed_in=f"`overlap` in {args.audit}")
    write_overlap(args.out, found, args.max_overlap)
