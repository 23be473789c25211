"""Where the time of a run went: the benchmark files of its jobs, summed by stage.

`python -m workflow.plan.stage_times` prints the table; `make demo` ends with it.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STAGES = {
    "texts and images": ("generate_sample", "prepare_dataset", "audit_dataset", "check_overlap"),
    "vision towers": (
        "draw_for_towers",
        "train_sample_vision",
        "make_random_weights",
        "cut_weights",
    ),
    "phrases, boxes, crops": ("extract_phrases", "cut_crops", "make_dictionary"),
    "features": ("write_spec", "extract_features", "merge_features", "verify_features"),
    "training": ("write_run_spec", "fit"),
    "scoring on test": ("evaluate",),
}
"""Stage -> its rules; what is left is `report and pages`."""

OTHERS = "report and pages"


@dataclass
class StageTime:
    """What the jobs of one stage took."""

    jobs: int = 0
    wall_s: float = 0.0
    """Seconds from start to end, summed over jobs; some ran at the same time."""
    cpu_s: float = 0.0
    """Processor seconds, summed over jobs and their children."""


def stage_times(files: Iterable[Path]) -> dict[str, StageTime]:
    """Return the times by stage, in the order of the stages.

    Args:
        files: benchmark files of Snakemake, each named `<rule>.<wildcards>.tsv`.
    """
    stage_of = {rule: stage for stage, rules in STAGES.items() for rule in rules}
    found: dict[str, StageTime] = defaultdict(StageTime)
    for path in files:
        total = found[stage_of.get(path.name.partition(".")[0], OTHERS)]
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                total.jobs += 1
                total.wall_s += float(row["s"])
                # Snakemake writes NA for jobs that were over before it looked.
                total.cpu_s += 0.0 if row["cpu_time"] == "NA" else float(row["cpu_time"])
    return {stage: found[stage] for stage in (*STAGES, OTHERS) if stage in found}


def render(times: dict[str, StageTime]) -> str:
    """Return the table as lines of text."""
    lines = [f"{'stage':24}{'jobs':>6}{'wall s':>9}{'CPU s':>9}{'share':>8}"]
    total = StageTime(
        jobs=sum(time.jobs for time in times.values()),
        wall_s=sum(time.wall_s for time in times.values()),
        cpu_s=sum(time.cpu_s for time in times.values()),
    )
    for stage, time in (*times.items(), ("all", total)):
        share = time.wall_s / total.wall_s if total.wall_s else 0.0
        lines.append(f"{stage:24}{time.jobs:6}{time.wall_s:9.1f}{time.cpu_s:9.1f}{share:8.0%}")
    return "\n".join(lines)


def main() -> None:
    """Print the table of the folder `benchmarks/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("benchmarks"))
    folder = parser.parse_args().folder
    print(render(stage_times(sorted(folder.rglob("*.tsv")))))


if __name__ == "__main__":
    main()
