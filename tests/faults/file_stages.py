"""Stages that make a few whole files: phrases, dataset, evaluate, summarize."""

from pathlib import Path

from tests.faults.checks import expect_success
from tests.faults.corpus import Corpus
from tests.faults.processes import Command, extract, run_to_end, train
from tests.faults.stages import Files
from tests.faults.trainings import Training

SEEDS = (1, 2)
RESAMPLES = 200


def phrases_stage(corpus: Corpus) -> Files:
    """Return `extract phrases` of the corpus."""
    samples = corpus.bench.folder / "samples/train.jsonl"
    words = ("phrases", "--backend", "type_words", "--samples", samples, "--out")
    return Files("phrases", lambda out: extract(*words, out / "phrases.jsonl"), "*.jsonl")


def dataset_stage(corpus: Corpus) -> Files:
    """Return `extract dataset` of the corpus."""
    bench = corpus.bench
    flags = (
        "dataset", "--reader", "conll_imgid", "--root", bench.folder, "--images", bench.images,
        "--splits", "train", "--max-bad-images", 1, "--out",
    )  # fmt: skip
    return Files("dataset", lambda out: extract(*flags, out / "x"), "x/**/*")


def evaluate_stage(training: Training, run: Path) -> Files:
    """Train into a folder; return `train evaluate` of it."""
    expect_success(run_to_end(training.command(run), run.with_suffix(".log")))
    samples = training.folder / "samples/test.jsonl"
    flags = ("evaluate", "--run", run, "--samples", samples, "--device", "cpu", "--out")
    return Files("evaluate", lambda out: train(*flags, out / "scores"), "scores/*")


def summarize_stage(runs: Path) -> Files:
    """Write scored runs into a folder; return `train summarize` of them."""
    from tests.builders.train.run_folders import write_run

    metrics = [
        write_run(runs, system, seed=seed, skill=skill)
        for system, skill in (("text_crf", 0.5), ("ita", 0.9))
        for seed in SEEDS
    ]
    tables = ("--out", "summary.tsv", "--intervals", "intervals.tsv", "--page", "table.md")

    def command(out: Path) -> Command:
        named = [word if word.startswith("--") else out / word for word in tables]
        return train("summarize", "--metrics", *metrics, *named, "--resamples", RESAMPLES)

    return Files("summarize", command, "*.tsv", "*.md")
