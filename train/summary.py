"""metrics.json files and predictions -> the two tables: summary.tsv and intervals.tsv.

A row of the summary is a dataset, a system, a variant and a kind of evidence, over seeds. A main
run of a system with a second view named `text` gives the variant `text_view` as well; further
views of other variants stay in metrics.json.
"""

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from extract.atomic import atomic_path
from extract.errors import DataError, MissingFileError
from train.metrics import ALL, per_tweet_counts
from train.predictions import TaggedText, read_predictions
from train.stats import bootstrap_f1, mean_f1, paired_difference, percentile_interval

K = TypeVar("K", bound=Hashable)

BASELINE = "text_crf"
CONTROLS = ("text_view", "shuffled", "blank")
VARIANT_ORDER = ("main", *CONTROLS)


@dataclass(frozen=True)
class SummaryRow:
    """One line of summary.tsv; scores in percent."""

    dataset: str
    system: str
    variant: str
    evidence: str
    """`all`, or a kind of evidence of the corpus."""
    n_seeds: int
    precision: float
    recall: float
    f1_mean: float
    f1_sd: float
    """Sample standard deviation over seeds; NaN with one seed."""


@dataclass(frozen=True)
class IntervalRow:
    """One line of intervals.tsv, over all evidence: a mean F1 or a difference, in points."""

    dataset: str
    comparison: str
    """`ita/main`, or `ita/main - text_crf/main`."""
    delta: float
    """Mean over seeds of F1 (percent), or of the difference."""
    low: float
    high: float
    """95 % bounds, percentile bootstrap over tweets."""
    p: float | None
    """Two-sided paired-bootstrap p of a difference; empty for a mean."""


@dataclass(frozen=True)
class SeedResult:
    """One view of one evaluated run."""

    dataset: str
    system: str
    variant: str
    run: str
    seed: int
    slices: dict[str, dict[str, Any]]
    """Evidence -> scores."""
    predictions: Path


Group = tuple[str, str, str]
"""(dataset, system, variant)"""


def read_results(paths: Sequence[Path], dataset: str = "") -> dict[Group, list[SeedResult]]:
    """Read metrics.json files into groups of seeds.

    Args:
        paths: metrics.json files; their predictions lie beside them.
        dataset: id for files that name none.

    Returns:
        Groups in the order of the files, the baseline first and variants of a system together;
        seeds ascending.

    Raises:
        MissingFileError: no such file.
        DataError: a run and seed is given twice.
    """
    results = [result for path in paths for result in read_views(Path(path), dataset)]
    groups = group_seeds(_tell_apart(results), lambda r: (r.dataset, r.system, r.variant))
    return {key: groups[key] for key in _ordered(groups)}


def group_seeds(
    results: Iterable[SeedResult], key: Callable[[SeedResult], K]
) -> dict[K, list[SeedResult]]:
    """Return results by key, in order of appearance; the seeds of each ascending.

    Raises:
        DataError: a run and seed is given twice.
    """
    groups: dict[K, list[SeedResult]] = defaultdict(list)
    for result in results:
        group = groups[key(result)]
        if any(other.seed == result.seed for other in group):
            raise DataError(
                f"{result.predictions.parent}: dataset {result.dataset}, run {result.run}, seed "
                f"{result.seed} is given twice."
            )
        group.append(result)
    for group in groups.values():
        group.sort(key=lambda result: result.seed)
    return dict(groups)


def read_views(path: Path, dataset: str = "") -> list[SeedResult]:
    """Return the headline view of a metrics.json and, of a main run, its text view.

    Raises:
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; `python -m train evaluate` writes it.")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    headline, variant = metrics["headline_view"], metrics["variant"]
    chosen = {headline: (variant, "predictions.conll")}
    if variant == "main" and headline != "text" and "text" in metrics["views"]:
        chosen["text"] = ("text_view", "predictions_text.conll")
    return [
        SeedResult(
            dataset=metrics["dataset"] or dataset,
            system=metrics["system"],
            variant=label,
            run=metrics["run"],
            seed=metrics["seed"],
            slices=metrics["views"][view],
            predictions=path.parent / name,
        )
        for view, (label, name) in chosen.items()
    ]


def _tell_apart(results: list[SeedResult]) -> list[SeedResult]:
    """Name runs that share dataset, system and variant `system:run`, so seeds are not mixed."""
    runs: dict[Group, set[str]] = defaultdict(set)
    for result in results:
        runs[result.dataset, result.system, result.variant].add(result.run)
    return [
        SeedResult(**{**vars(result), "system": f"{result.system}:{result.run}"})
        if len(runs[result.dataset, result.system, result.variant]) > 1
        else result
        for result in results
    ]


def _ordered(groups: Iterable[Group]) -> list[Group]:
    """Return groups by dataset and system in order of appearance, the baseline before others."""
    groups = list(groups)
    datasets = list(dict.fromkeys(group[0] for group in groups))
    systems = list(dict.fromkeys(group[1] for group in groups))
    systems.sort(key=lambda system: system != BASELINE)
    return sorted(
        groups,
        key=lambda g: (datasets.index(g[0]), systems.index(g[1]), VARIANT_ORDER.index(g[2])),
    )


def summary_rows(groups: dict[Group, list[SeedResult]]) -> list[SummaryRow]:
    """Return mean scores over seeds, `all` first in each group."""
    rows = []
    for (dataset, system, variant), results in groups.items():
        kinds = {kind for result in results for kind in result.slices}
        for kind in [ALL, *sorted(kinds - {ALL})]:
            rows.append(SummaryRow(dataset, system, variant, kind, **seed_scores(results, kind)))
    return rows


def seed_scores(results: Sequence[SeedResult], kind: str) -> dict[str, Any]:
    """Return number of seeds, mean precision, recall and F1, and the deviation of F1.

    Args:
        results: seeds of one run; those without this kind are left out.
        kind: of evidence, or `all`.
    """
    scores = [result.slices[kind] for result in results if kind in result.slices]
    f1s = [score["f1"] for score in scores]
    return {
        "n_seeds": len(scores),
        "precision": statistics.fmean(score["precision"] for score in scores),
        "recall": statistics.fmean(score["recall"] for score in scores),
        "f1_mean": statistics.fmean(f1s),
        "f1_sd": statistics.stdev(f1s) if len(f1s) > 1 else float("nan"),
    }


def interval_rows(groups: dict[Group, list[SeedResult]], n_resamples: int) -> list[IntervalRow]:
    """Return bootstrap intervals: of each group, against the baseline, and main - control."""
    rows = []
    for dataset in dict.fromkeys(group[0] for group in groups):
        mine = {group[1:]: results for group, results in groups.items() if group[0] == dataset}
        counts = tweet_counts(mine)
        resampled = bootstrap_f1(list(counts.values()), n_resamples)
        column = dict(zip(counts, resampled.T, strict=True))
        for name in counts:
            interval = percentile_interval(mean_f1(counts[name]), column[name])
            bounds = interval.value, interval.low, interval.high, None
            rows.append(IntervalRow(dataset, "/".join(name), *bounds))
        for first, second in comparisons(list(counts)):
            value = mean_f1(counts[first]) - mean_f1(counts[second])
            gap = paired_difference(value, column[first], column[second])
            label = f"{'/'.join(first)} - {'/'.join(second)}"
            rows.append(IntervalRow(dataset, label, gap.value, gap.low, gap.high, gap.p))
    return rows


def comparisons(
    names: Sequence[tuple[str, str]],
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the pairs to compare: every main - text_crf/main, and main - its own controls."""
    baseline = (BASELINE, "main")
    pairs = [
        (name, baseline)
        for name in names
        if baseline in names and name[1] == "main" and name != baseline
    ]
    for system, variant in names:
        if variant == "main":
            pairs += [((system, "main"), (system, c)) for c in CONTROLS if (system, c) in names]
    return pairs


def tweet_counts(groups: Mapping[K, Sequence[SeedResult]]) -> dict[K, np.ndarray]:
    """Return each group's per-tweet counts, shape (S, N, 3), all on the same tweets.

    Raises:
        DataError: the predictions are about other tweets or other gold tags.
    """
    reference: list[TaggedText] = []
    counts = {}
    for name, results in groups.items():
        tables = []
        for result in results:
            texts = read_predictions(result.predictions)
            reference = reference or texts
            if [(t.tokens, t.gold) for t in texts] != [(t.tokens, t.gold) for t in reference]:
                raise DataError(
                    f"{result.predictions}: other tweets or gold tags than the first run of "
                    f"dataset {result.dataset}. Evaluate all runs on the same samples file."
                )
            gold, pred = [text.gold for text in texts], [text.pred for text in texts]
            tables.append(per_tweet_counts(gold, pred))
        counts[name] = np.stack(tables)
    return counts


def write_table(path: Path, row_type: type, rows: Sequence[Any]) -> None:
    """Write dataclass rows as TSV, in the order given."""
    columns = [column.name for column in fields(row_type)]
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            record = asdict(row)
            writer.writerow([shown(name, record[name]) for name in columns])


def shown(name: str, value: Any) -> str:
    """Return a cell's text: floats with 2 decimals (p with 4), nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if name == "p" else f"{value:.2f}"
    return str(value)


def read_table(path: Path, row_type: type) -> list[Any]:
    """Read what `write_table` wrote.

    Raises:
        MissingFileError: no such file.
        DataError: other columns.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such table; `summarize` and `ablate` write them.")
    kinds = {"n_seeds": int, **dict.fromkeys(("precision", "recall", "f1_mean", "f1_sd"), float)}
    kinds |= dict.fromkeys(
        ("delta", "low", "high", "p"), lambda cell: float(cell) if cell else None
    )
    columns = [column.name for column in fields(row_type)]
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if reader.fieldnames != columns:
            raise DataError(f"{path}:1: expected columns {columns}, got {reader.fieldnames}")
        rows = []
        for record in reader:
            values = {name: kinds.get(name, str)(record[name]) for name in columns}
            rows.append(row_type(**values))
    return rows
