"""Feed the pipeline what nobody means to feed it, for some minutes, and count what breaks.

`python -m tests.fuzz --minutes 20` runs every module of tests/fuzz/cases/ in turn. A module has
`NAME` and `fuzz(folder, rng)`, which makes one trial in an empty folder from the random numbers of
`rng` alone and returns None, or the text of a finding. An exception is a finding, but for an
MnerError inside of `may_refuse` (tests/fuzz/refusal.py), where the trial reads its hostile input.
So is a trial that ends its process, takes too long, or wants too much memory: trials run in a
process of their own, which is started again.

A finding is kept as FINDINGS/<case>/<n>.json with its inputs in the folder beside it, and
`--repeat` makes the same trial again. The program ends with 1 when there is a finding.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.worker import (
    MEMORY_MB,
    TRIAL_CPU_S,
    TRIAL_WALL_S,
    Trial,
    Worker,
    case_modules,
)

SLICE_S = 2.0
"""A case has the processor for so long before the next one has."""


@dataclass
class Tally:
    """What the trials of one case came to."""

    case: str
    trials: int = 0
    findings: int = 0
    slowest_s: float = 0.0
    peak_mb: int = 0

    def add(self, trial: Trial) -> None:
        """Count one trial."""
        self.trials += 1
        self.findings += trial.finding is not None
        self.slowest_s = max(self.slowest_s, trial.seconds)
        self.peak_mb = max(self.peak_mb, trial.peak_mb)


class Fuzzer:
    """Makes the trials of one case, one after the other.

    Args:
        module: name of the case, a file in tests/fuzz/cases/.
        seed: of the whole run; trial n of a case is the same in every run of one seed.
        findings: folder that keeps them.
        base: folder in which the trials have theirs.
    """

    def __init__(self, module: str, seed: int, findings: Path, base: Path) -> None:
        self.module, self.seed, self.findings = module, seed, findings
        self.worker = Worker(module, base)
        self.tally = Tally(module)

    def take_turn(self, until: float) -> None:
        """Make trials until a time of `time.monotonic`, at least one."""
        while True:
            seed = f"{self.seed}:{self.module}:{self.tally.trials}"
            trial = self.worker.try_once(seed)
            self.tally.add(trial)
            if trial.finding is not None:
                self._keep(trial)
            shutil.rmtree(trial.folder, ignore_errors=True)
            if time.monotonic() >= until:
                return

    def _keep(self, trial: Trial) -> None:
        folder = self.findings / self.module / f"{self.tally.trials:06d}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(trial.folder, folder, symlinks=True, ignore=_special_files)
        record = {"case": self.module, "seed": trial.seed, "finding": trial.finding}
        path = folder.with_suffix(".json")
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        first = (trial.finding or "").strip().splitlines()[-1:]
        print(f"FINDING {path}: {''.join(first)[:200]!r}", flush=True)


def _special_files(folder: str, names: list[str]) -> list[str]:
    """Return the pipes and devices among the names, which cannot be copied."""
    paths = {name: Path(folder, name) for name in names}
    return [n for n, p in paths.items() if not (p.is_symlink() or p.is_dir() or p.is_file())]


def fuzz(modules: Sequence[str], minutes: float, seed: int, findings: Path) -> list[Tally]:
    """Run the cases in turn for so many minutes, each at least once."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="mner_fuzz_", ignore_cleanup_errors=True) as base:
        fuzzers = [Fuzzer(module, seed, findings, Path(base)) for module in modules]
        try:
            is_over = False
            while not is_over:
                for fuzzer in fuzzers:
                    fuzzer.take_turn(min(time.monotonic() + SLICE_S, end))
                is_over = time.monotonic() >= end
        finally:
            for fuzzer in fuzzers:
                fuzzer.worker.close()
    return [fuzzer.tally for fuzzer in fuzzers]


def repeat(finding: Path) -> int:
    """Make the trial of a finding again; return 1 when it is still one."""
    record = json.loads(finding.read_text(encoding="utf-8"))
    worker = Worker(record["case"], Path(tempfile.mkdtemp(prefix="mner_fuzz_")))
    try:
        trial = worker.try_once(record["seed"])
    finally:
        worker.close()
    print(f"{record['case']} {record['seed']}, inputs in {trial.folder}")
    print(trial.finding or "no finding any more")
    return int(trial.finding is not None)


def show(tallies: Sequence[Tally]) -> None:
    """Print the table."""
    print(f"\n{'case':<24}{'trials':>9}{'findings':>10}{'slowest':>10}{'peak RSS':>11}")
    for t in tallies:
        print(f"{t.case:<24}{t.trials:>9}{t.findings:>10}{t.slowest_s:>8.1f} s{t.peak_mb:>8} MB")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m tests.fuzz`."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--only", nargs="+", metavar="CASE", help="files in tests/fuzz/cases/")
    parser.add_argument("--seed", type=int, help="default: a new one, which is printed")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"))
    parser.add_argument("--repeat", type=Path, metavar="FINDING", help="a .json of --findings")
    args = parser.parse_args(argv)
    # A polite kill, too, must end the processes and remove the folder.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if args.repeat:
        return repeat(args.repeat)
    known = case_modules()
    unknown = sorted(set(args.only or ()) - set(known))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    seed = random.SystemRandom().randrange(2**32) if args.seed is None else args.seed
    limits = f"{TRIAL_CPU_S} s of the processor, {TRIAL_WALL_S} s, {MEMORY_MB} MB of address space"
    print(f"seed {seed}; a trial has {limits}", flush=True)
    tallies = fuzz(args.only or known, args.minutes, seed, args.findings)
    show(tallies)
    found = sum(tally.findings for tally in tallies)
    print(f"{found} findings" + (f", kept in {args.findings}" if found else ""))
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
