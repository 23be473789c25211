"""Load: seconds and memory of every stage by the size of the corpus.

    python tests/bench/load.py [--images 10000 50000 200000] [--folder /tmp]

A generated corpus goes through the real commands (dataset, features in 8 shards, merge, verify),
through Snakemake (first plan, run, plan and rerun with nothing to do), and is trained on. The two
questions are: is the time a straight line, and how much memory does an image cost?
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load_corpus import write_corpus
from tests.bench.load_process import Measured, measure

ROOT = Path(__file__).parents[2]
SHARDS = 8
SETTINGS = {
    "run": {"datasets": ["load"], "feature_sets": ["noise"], "models": [], "exports": []},
    "device": "cpu",
    "shards": SHARDS,
    "datasets": {"load": {"reader": "conll_imgid", "root": "corpus", "images": "corpus/images"}},
    "feature_sets": {
        "noise": {
            "extractor": "random",
            "options": {"dim": 8, "rows": 4},
            "runtime": {"batch_size": 256},
        }
    },
}
RUN = {
    "run": "load",
    "system": "acn",
    "features": {"grid": "noise"},
    "options": {"regions": 4, "image_dim": 8, "word_dim": 16, "lstm_hidden": 8, "filters": 4},
    "recipe": {"epochs": 1, "batch_size": 128, "eval_batch_size": 128, "schedule": "constant"},
}
WORKERS = (0, 2)
Stages = dict[str, Measured]


def run_commands(folder: Path) -> Stages:
    """Return stage -> what it took, of the commands as the rules call them."""
    out = folder / "by_hand"
    images, store, spec = out / "images.tsv", out / "features/noise.h5", out / "noise.json"
    stages: Stages = {}

    def run(*command: object) -> Measured:
        return measure(("extract", *command), folder / "command.log")

    def keep(stage: str, *found: Measured) -> None:
        stages[stage] = together(found)
        say(stage, stages[stage])

    corpus = ("--reader", "conll_imgid", "--root", "corpus", "--images", "corpus/images")
    keep("dataset", run("dataset", *corpus, "--workers", 2, "--out", out))
    definition = {"name": "noise", "extractor": "random"}
    definition["options"] = SETTINGS["feature_sets"]["noise"]["options"]
    run("spec", "--definition", json.dumps(definition), "--out", spec)
    shards = [out / f"shards/noise.{k}-of-{SHARDS}.h5" for k in range(1, SHARDS + 1)]
    shards[0].parent.mkdir()
    parts = []
    for number, shard in enumerate(shards, start=1):
        part = ("--shard", f"{number}-of-{SHARDS}", "--batch-size", 256, "--out", shard)
        parts.append(run("features", "--spec", spec, "--images", images, *part))
    keep("features", *parts)
    keep("merge", run("merge", "--shards", *shards, "--images", images, "--out", store))
    keep("verify", run("verify", store, "--images", images, "--out", out / "qc.json"))
    audit, overlap = out / "audit.json", out / "overlap.json"
    command = ("extract", "audit", "corpus", "--json")
    keep("audit", measure(command, folder / "command.log", stdout=audit))
    keep("overlap", run("check-overlap", "--audit", audit, "--out", overlap))
    return stages


def together(parts: Sequence[Measured]) -> Measured:
    """Return what commands take that run one after the other."""
    seconds, cpu_s = sum(part.seconds for part in parts), sum(part.cpu_s for part in parts)
    return Measured(seconds, cpu_s, max(part.peak_mb for part in parts), "")


def say(stage: str, found: Measured) -> None:
    """Print one stage at once: the table comes at the end of hours."""
    sys.stdout.write(
        f"  {stage}: {found.seconds:.1f} s, {found.cpu_s:.1f} s of processor, "
        f"{found.peak_mb:.0f} MB\n"
    )
    sys.stdout.flush()


def run_workflow(folder: Path) -> Stages:
    """Return what Snakemake takes to plan, to run, and to see that nothing is to be done."""
    config = folder / "config.json"
    config.write_text(json.dumps(SETTINGS))
    command = ["snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", config, "--cores", 2]
    stages = {}
    for stage, arguments in (
        ("first plan", ["--dry-run", "verify"]),
        ("workflow", ["verify"]),
        ("plan, no-op", ["--dry-run", "verify"]),
        ("rerun, no-op", ["verify"]),
    ):
        stages[stage] = measure([*command, *arguments], folder / "snakemake.log")
        say(stage, stages[stage])
        is_idle = "Nothing to be done" in stages[stage].log
        if is_idle != stage.endswith("no-op"):
            raise SystemExit(f"{stage}: not what was expected\n{stages[stage].log[-4000:]}")
    return stages


def run_training(folder: Path, workers: int) -> Measured:
    """Train one epoch, looking at the memory all the time."""
    out = folder / "by_hand"
    spec = out / "run.json"
    quiet = folder / "training.log"
    definition = json.dumps(RUN)
    measure(("train", "spec", "--definition", definition, "--out", spec), quiet)
    command = ["train", "fit", "--spec", spec, "--samples-dir", out / "samples", "--seed", 1]
    command += ["--store", f"grid={out}/features/noise.h5", "--overlap", out / "overlap.json"]
    command += ["--workers", workers, "--threads", 1, "--device", "cpu"]
    command += ["--out", out / f"run{workers}"]
    return measure(command, quiet, sample=True)


def early_and_late(values: Sequence[float]) -> str:
    """Return the median of the third and of the fourth fifth of the epoch, in MB.

    What comes before reads the corpus and warms the allocator up; the last fifth validates.
    """
    fifth = max(1, len(values) // 5)
    early, late = values[2 * fifth : 3 * fifth], values[3 * fifth : 4 * fifth]
    return f"{statistics.median(early or values):.0f} -> {statistics.median(late or values):.0f}"


def print_stages(measured: dict[int, Stages]) -> None:
    """Print a line a stage: seconds of processor for each 1,000 images, and MB, at each size."""
    sizes = list(measured)
    head = "".join(f"{f'{n:,}':>32}" for n in sizes)
    units = f"{'s':>9}{'cpu s':>8}{'/1,000':>8}{'MB':>7}"
    sys.stdout.write(f"\n{'images':14}{head}   MB more by\n")
    sys.stdout.write(f"{'stage':14}{units * len(sizes)}   100,000 images\n")
    for stage in measured[sizes[0]]:
        found = [measured[n][stage] for n in sizes]
        cells = "".join(
            f"{m.seconds:>9.1f}{m.cpu_s:>8.1f}{1000 * m.cpu_s / n:>8.3f}{m.peak_mb:>7.0f}"
            for n, m in zip(sizes, found, strict=True)
        )
        more = found[-1].peak_mb - found[0].peak_mb
        slope = 1e5 * more / (sizes[-1] - sizes[0]) if len(sizes) > 1 else 0.0
        sys.stdout.write(f"{stage:14}{cells}   {slope:>6.0f}\n")


def print_training(n_images: int, workers: int, fit: Measured) -> None:
    """Print time and memory of one training."""
    own = [own for _, own, _ in fit.samples]
    children = [children for _, _, children in fit.samples if children]
    sys.stdout.write(
        f"  training, {workers} workers: {fit.seconds:.0f} s, {fit.cpu_s:.0f} s of processor "
        f"({1000 * fit.cpu_s / n_images:.2f} for 1,000 images); private memory early -> late: "
        f"{early_and_late(own)} MB, at most {max(own):.0f}"
    )
    if workers and children:
        sys.stdout.write(f"; workers together {early_and_late(children)} MB")
    sys.stdout.write("\n")
    sys.stdout.flush()


def main() -> None:
    """Measure every size and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--folder", type=Path, help="where the corpora go for a while (1 GB)")
    parser.add_argument("--only", choices=["commands", "workflow", "training"], help="one part")
    args = parser.parse_args()
    measured: dict[int, Stages] = {}
    for n_images in args.images:
        folder = Path(tempfile.mkdtemp(prefix="load_", dir=args.folder))
        try:
            sys.stdout.write(f"{n_images:,} images\n")
            write_corpus(folder / "corpus", n_images)
            measured[n_images] = {} if args.only == "workflow" else run_commands(folder)
            if args.only in (None, "workflow"):
                measured[n_images] |= run_workflow(folder)
            if args.only in (None, "training"):
                for workers in WORKERS:
                    print_training(n_images, workers, run_training(folder, workers))
        finally:
            shutil.rmtree(folder)
    print_stages(measured)


if __name__ == "__main__":
    main()
