"""Make the faults of tests/faults/cases/ happen and print what they cost.

Each case is a module with `NAME` and `run(folder, rng, rounds) -> Row | list[Row]`. Whole rounds
are repeated with new seeds until the minutes are over; exit status 1 when anything was not
recovered.
"""

import argparse
import importlib
import logging
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from tests.faults.row import Row
from train.markdown import markdown_table

CASES = Path(__file__).parent / "cases"
HEAD = ("fault", "runs", "lost rows", "recovered", "note")


def read_arguments() -> argparse.Namespace:
    """Return the checked arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=0, help="repeat rounds this long (default: one round)"
    )
    parser.add_argument(
        "--rounds", type=int, default=50, help="kills a stage in one round (default 50)"
    )
    parser.add_argument("--only", metavar="NAME", help="one case")
    parser.add_argument("--seed", type=int, help="of the random moments (default: the clock's)")
    parser.add_argument("--folder", type=Path, help="work in this folder and keep it")
    return parser.parse_args()


def load_cases(only: str | None) -> list[ModuleType]:
    """Return the modules of the cases, sorted by file name."""
    names = sorted(path.stem for path in CASES.glob("[a-z]*.py"))
    modules = [importlib.import_module(f"tests.faults.cases.{name}") for name in names]
    chosen = [module for module in modules if only in (None, module.NAME)]
    if not chosen:
        sys.exit(f"no case '{only}'; known: {', '.join(module.NAME for module in modules)}")
    return chosen


def run_case(module: ModuleType, folder: Path, seed: str, rounds: int) -> list[Row]:
    """Run one case; one that breaks off is a row that did not recover."""
    case_folder = folder / module.NAME
    case_folder.mkdir(parents=True)
    started = time.monotonic()
    try:
        rows = module.run(case_folder, random.Random(f"{seed} {module.NAME}"), rounds)
    except Exception as error:
        traceback.print_exc()
        rows = Row(module.NAME, 1, 0, 0, f"{type(error).__name__}: {error}"[:200])
    sys.stderr.write(f"{module.NAME}: {time.monotonic() - started:.0f} s\n")
    return rows if isinstance(rows, list) else [rows]


def show(rows: list[Row]) -> None:
    """Print the table: drawn on a terminal, Markdown elsewhere."""
    lines = [
        (row.fault, str(row.runs), str(row.lost), str(row.recovered), row.note) for row in rows
    ]
    if not sys.stdout.isatty():
        print(markdown_table(HEAD, lines), end="", flush=True)
        return
    table = Table(*HEAD)
    for row, line in zip(rows, lines, strict=True):
        table.add_row(*line, style=None if row.is_ok else "red")
    Console().print(table)


def main() -> int:
    """Run rounds until the minutes are over; return the exit status."""
    args = read_arguments()
    cases = load_cases(args.only)
    seed = args.seed if args.seed is not None else time.time_ns() % 10**6
    folder = args.folder or Path(tempfile.mkdtemp(prefix="mner_faults_"))
    logging.disable(logging.INFO)
    started, n_rounds, table = time.monotonic(), 0, dict[str, Row]()
    while not n_rounds or time.monotonic() - started < 60 * args.minutes:
        for module in cases:
            round_folder = folder / f"round{n_rounds}"
            for row in run_case(module, round_folder, f"{seed} {n_rounds}", args.rounds):
                known = table.get(row.fault)
                table[row.fault] = known.plus(row) if known else row
            if not args.folder:
                shutil.rmtree(round_folder / module.NAME, ignore_errors=True)
        n_rounds += 1
    show(list(table.values()))
    print(f"{n_rounds} round(s), seed {seed}, {(time.monotonic() - started) / 60:.1f} minutes")
    if not args.folder:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(row.is_ok for row in table.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
