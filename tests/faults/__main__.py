"""Make the faults of tests/faults/cases/ happen and print what they cost.

Each case is a module with `NAME` and `run(folder, rng, rounds) -> Row | list[Row]`. Whole rounds
are repeated with new seeds until the minutes are over. Exit status 1 when anything was not
recovered, and when a fault could not be made here, unless --allow-skips. The folder of a case that
failed is kept and named.
"""

import argparse
import importlib
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from tests.faults.row import Row
from tests.faults.small_disk import mounts_below
from train.comparing.markdown import markdown_table

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
    parser.add_argument(
        "--allow-skips", action="store_true", help="faults that cannot be made here are no failure"
    )
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds: expected at least 1, got {args.rounds}")
    return args


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
    folder.mkdir(parents=True)
    started = time.monotonic()
    try:
        rows = module.run(folder, random.Random(f"{seed} {module.NAME}"), rounds)
    except Exception as error:
        traceback.print_exc()
        rows = Row(module.NAME, 1, None, 0, f"{type(error).__name__}: {error}"[:200])
    sys.stderr.write(f"{module.NAME}: {time.monotonic() - started:.0f} s\n")
    rows = rows if isinstance(rows, list) else [rows]
    for row in rows:  # the table comes at the end of a long run
        sys.stderr.write(f"  {row.fault}: {row.recovered} of {row.runs} {row.text}\n")
    return rows


@dataclass
class Results:
    """The table so far, and the folders of what failed."""

    rows: dict[str, Row] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)
    keeps_all: bool = False
    """Whether the user gave a folder: nothing of it is deleted."""

    def add(self, rows: Sequence[Row], folder: Path) -> None:
        """Add the rows of one case of one round; remove its folder where all is well."""
        for row in rows:
            known = self.rows.get(row.fault)
            self.rows[row.fault] = known.plus(row) if known else row
        if not all(row.is_ok for row in rows):
            self.kept.append(folder)
        elif not self.keeps_all:
            remove(folder)

    @property
    def skipped(self) -> list[str]:
        """The faults that could not be made."""
        return [row.fault for row in self.rows.values() if row.is_skipped]

    def status(self, *, allow_skips: bool) -> int:
        """Return the exit status."""
        has_failed = not all(row.is_ok for row in self.rows.values())
        return int(has_failed or (bool(self.skipped) and not allow_skips))


def remove(folder: Path) -> None:
    """Delete a folder, unless something is still mounted in it."""
    mounted = mounts_below(folder)
    if mounted:
        sys.stderr.write(f"still mounted, not deleted: {', '.join(map(str, mounted))}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def run_rounds(args: argparse.Namespace, folder: Path, results: Results) -> str:
    """Run rounds until the minutes are over; return in words what was done."""
    cases = load_cases(args.only)
    seed = args.seed if args.seed is not None else time.time_ns() % 10**6
    started, n_rounds = time.monotonic(), 0
    while not n_rounds or time.monotonic() - started < 60 * args.minutes:
        for module in cases:
            case_folder = folder / f"round{n_rounds}" / module.NAME
            try:
                rows = run_case(module, case_folder, f"{seed} {n_rounds}", args.rounds)
            except BaseException:  # Ctrl-C: of what failed before, the folders stay
                if not results.keeps_all:
                    remove(case_folder)
                raise
            results.add(rows, case_folder)
        n_rounds += 1
    minutes = (time.monotonic() - started) / 60
    return f"{n_rounds} round(s), seed {seed}, {minutes:.1f} minutes"


def show(rows: Sequence[Row]) -> None:
    """Print the table: drawn on a terminal, Markdown elsewhere."""
    lines = [
        (
            row.fault,
            str(row.runs),
            "-" if row.lost is None else str(row.lost),
            str(row.recovered),
            row.text,
        )
        for row in rows
    ]
    if not sys.stdout.isatty():
        print(markdown_table(HEAD, lines), end="", flush=True)
        return
    table = Table(*HEAD)
    for row, line in zip(rows, lines, strict=True):
        table.add_row(*line, style=None if row.is_ok else "red")
    Console().print(table)


def main() -> int:
    """Run all rounds; return the exit status."""
    args = read_arguments()
    # A polite kill, too, must unmount, end the children and remove the folder.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    logging.disable(logging.INFO)
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="mner_faults_"))).absolute()
    results = Results(keeps_all=bool(args.folder))
    try:
        done = run_rounds(args, folder, results)
    finally:
        if not (results.keeps_all or results.kept):
            remove(folder)
        show(list(results.rows.values()))
    print(done)
    for path in results.kept:
        print(f"failed, kept: {path}")
    if results.skipped:
        print(f"{len(results.skipped)} faults not run: {', '.join(results.skipped)}")
    return results.status(allow_skips=args.allow_skips)


if __name__ == "__main__":
    sys.exit(main())
