"""`ablate`: metrics of a model and of its ablated runs -> one table, as TSV and Markdown."""

import argparse
import logging
from pathlib import Path

from extract.core.errors import ConfigError, near_match
from train.commands.arguments import add_resamples_argument

HELP = "Compare runs without a part with the full model, as one table."
EXAMPLE = (
    "python -m train ablate --metrics results/sample/runs/ita*/seed*/metrics.json "
    "--rows full=ita without_ocr=ita_context-without_ocr "
    "--samples sample=results/sample/samples/test.jsonl --out results/ablations/ita_context.tsv"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ablate`."""
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="+",
        required=True,
        help="metrics.json files; their predictions lie beside them",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        required=True,
        metavar="ROW=RUN",
        help="rows of the table and whose runs they are, the full model first",
    )
    parser.add_argument(
        "--samples",
        nargs="+",
        default=[],
        metavar="DATASET=FILE",
        help="evaluated samples, for intervals by slice of the tweets",
    )
    parser.add_argument("--out", type=Path, required=True, help="table to write, TSV")
    parser.add_argument("--page", type=Path, help="the same to read, Markdown")
    add_resamples_argument(parser)


def run(args: argparse.Namespace) -> None:
    """Write the table."""
    from extract.core.files import write_text
    from train.commands.arguments import parse_assignments, parse_paths
    from train.comparing.ablation import AblationRow, ablation_rows
    from train.comparing.ablation_page import render_page
    from train.comparing.tables import write_table

    samples = parse_paths(args.samples, "--samples", "DATASET=FILE")
    runs = parse_assignments(args.rows, "--rows", "ROW=RUN")
    rows = ablation_rows(args.metrics, runs, samples, args.resamples)
    unknown = sorted(set(samples) - {row.dataset for row in rows})
    if unknown:
        known = list(dict.fromkeys(row.dataset for row in rows))
        raise ConfigError(
            f"--samples {unknown[0]}: no metrics of such a dataset.{near_match(unknown[0], known)} "
            f"Known: {', '.join(known)}."
        )
    write_table(args.out, AblationRow, rows)
    if args.page:
        write_text(args.page, render_page(args.out.stem, rows))
    logger.info("%s: %d rows from %d files", args.out, len(rows), len(args.metrics))
