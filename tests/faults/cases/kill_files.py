"""SIGKILL in the stages that make whole files: merge, phrases, dataset, summarize."""

import random
from pathlib import Path

from tests.faults.corpus import Corpus, make_corpus
from tests.faults.kills import Stage, kill_stage
from tests.faults.processes import Command, extract, import_commands, train
from tests.faults.row import Row
from tests.faults.stages import Files, merge_stage

NAME = "kill_files"
SEEDS = (1, 2)
RESAMPLES = 200


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Kill each stage."""
    import_commands("extract", ["extract.runner", "extract.inputs"])
    import_commands("train", ["train.intervals", "train.results", "train.results_page"])
    corpus = make_corpus(folder / "corpus")
    stages = [merge_stage(corpus, folder), *_of_texts(corpus), _summarize(folder / "runs")]
    return [kill_stage(stage, folder / stage.name, rng, rounds) for stage in stages]


def _of_texts(corpus: Corpus) -> list[Stage]:
    """Return phrases and dataset."""
    bench = corpus.bench
    samples = bench.folder / "samples/train.jsonl"
    words = ("phrases", "--backend", "type_words", "--samples", samples, "--out")
    corpus_flags = (
        "dataset", "--reader", "conll_imgid", "--root", bench.folder, "--images", bench.images,
        "--splits", "train", "--max-bad-images", 1, "--out",
    )  # fmt: skip
    return [
        Files("phrases", lambda out: extract(*words, out / "phrases.jsonl"), "*.jsonl"),
        Files("dataset", lambda out: extract(*corpus_flags, out / "x"), "x/**/*"),
    ]


def _summarize(runs: Path) -> Stage:
    from tests.unit.train.run_folders import write_run

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
