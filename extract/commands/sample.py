"""`python -m extract sample`: write the bundled sample corpus."""

import argparse
import logging
from collections import Counter
from pathlib import Path

HELP = "Write the sample corpus (tweets, drawn images, captions, boxes) into a folder."
EXAMPLE = "python -m extract sample --out data/sample --seed 20180202"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=20180202, help="equal seeds, equal bytes")
    parser.add_argument(
        "--tweets",
        type=int,
        nargs=3,
        default=(400, 100, 400),
        metavar=("TRAIN", "VALID", "TEST"),
        help="tweets in each split (default: 400 100 400)",
    )
    parser.add_argument("--workers", type=int, help="drawing processes (default: one a core)")


def run(args: argparse.Namespace) -> None:
    """Plan the corpus, then draw and write it."""
    from extract.sample.plan import plan_corpus
    from extract.sample.write import write_corpus

    plans = plan_corpus(args.seed, args.tweets)
    write_corpus(args.out, plans, workers=args.workers)
    counts = Counter(plan.evidence for plan in plans for _ in plan.names)
    logger.info("%s: %d tweets, entities by evidence %s", args.out, len(plans), dict(counts))
