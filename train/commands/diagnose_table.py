"""`diagnose-table`: the gaps of several diagnoses, one line a run."""

import argparse
from pathlib import Path

HELP = "Put what choosing the epoch on test would have added to each run into a table of its own."
EXAMPLE = (
    "python -m train diagnose-table --diagnoses results/sample/runs/ita/seed1/best_test.json "
    "--out results/diagnostics/best_test.tsv"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `diagnose-table`."""
    parser.add_argument(
        "--diagnoses", type=Path, nargs="+", required=True, help="what `diagnose` wrote"
    )
    parser.add_argument("--out", type=Path, required=True, help="table to write, TSV")


def run(args: argparse.Namespace) -> None:
    """Write the table."""
    from train.comparing.tables import write_table
    from train.evaluating.diagnose import DiagnosisRow, diagnosis_rows

    write_table(args.out, DiagnosisRow, diagnosis_rows(args.diagnoses))
