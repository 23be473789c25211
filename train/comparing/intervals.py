"""How sure scores and differences are: the rows of intervals.tsv.

The compared pairs of one dataset are one family of tests; `p_holm` is corrected for all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from train.comparing.holm import holm
from train.comparing.results import (
    BASELINE,
    MAIN,
    Group,
    SeedResult,
    base_system,
    tweet_counts,
    variant_order,
)
from train.comparing.statistics import (
    bootstrap_f1,
    detectable_difference,
    least_p,
    mean_f1,
    paired_difference,
    percentile_interval,
    randomisation_p,
)

Name = tuple[str, str]
"""(system, variant)"""


@dataclass(frozen=True)
class IntervalRow:
    """One line of intervals.tsv, over all tweets: a mean micro F1 or a difference, in points.

    What follows `high` is empty for a mean.
    """

    dataset: str
    comparison: str
    """`ita/main`, or `ita/main - text_crf/main`."""
    delta: float
    """Mean over seeds of F1 (percent), or of the difference."""
    low: float
    high: float
    """95 % bounds, percentile bootstrap over tweets."""
    p: float | None
    """Two-sided paired-bootstrap p of the difference, all seeds, not corrected, and not below what
    exchanging the tweets that differ could give."""
    p_holm: float | None = None
    """`p` after Holm's correction for all comparisons of the dataset."""
    p_randomisation: float | None = None
    """Two-sided approximate-randomisation p over the seeds that both have, not corrected."""
    n_paired_seeds: int | None = None
    """How many seeds both have; with none there is no `p_randomisation`."""
    least_significant: float | None = None
    """The smallest observed difference that is significant at 5 %: 1.96 standard errors; empty
    where the two never differ. Like the next, before Holm's correction."""
    min_detectable: float | None = None
    """The true difference that is found with 80 % power: 2.80 standard errors."""


def interval_rows(
    groups: Mapping[Group, Sequence[SeedResult]], n_resamples: int
) -> list[IntervalRow]:
    """Return bootstrap intervals of each group, then of the pairs of `comparisons`.

    Raises:
        DataError: the runs of a dataset are about other tweets or other gold tags.
    """
    rows = []
    for dataset in dict.fromkeys(group[0] for group in groups):
        mine = {group[1:]: results for group, results in groups.items() if group[0] == dataset}
        counts = tweet_counts(mine)
        resampled = bootstrap_f1(list(counts.values()), n_resamples)
        column = dict(zip(counts, resampled.T, strict=True))
        for name, values in column.items():
            interval = percentile_interval(mean_f1(counts[name]), values)
            bounds = interval.value, interval.low, interval.high, None
            rows.append(IntervalRow(dataset, "/".join(name), *bounds))
        rows += _compared(dataset, mine, counts, column, n_resamples)
    return rows


def _compared(
    dataset: str,
    groups: Mapping[Name, Sequence[SeedResult]],
    counts: Mapping[Name, np.ndarray],
    column: Mapping[Name, np.ndarray],
    n_resamples: int,
) -> list[IntervalRow]:
    """Return one row a compared pair of a dataset, p corrected over all of them."""
    means = {name: mean_f1(values) for name, values in counts.items()}
    pairs = comparisons(list(counts), best_main(means))
    gaps = [
        paired_difference(
            means[a] - means[b], column[a], column[b], least=least_p(counts[a], counts[b])
        )
        for a, b in pairs
    ]
    corrected = holm([gap.p for gap in gaps])
    rows = []
    for (first, second), gap, p_holm in zip(pairs, gaps, corrected, strict=True):
        chosen = paired_seeds(groups[first], groups[second])
        halves = [
            counts[name][places] for name, places in zip((first, second), chosen, strict=True)
        ]
        limits = detectable_difference(column[first], column[second])
        rows.append(
            IntervalRow(
                dataset,
                label(first, second),
                gap.value,
                gap.low,
                gap.high,
                gap.p,
                p_holm,
                randomisation_p(*halves, n_resamples) if chosen[0] else None,
                len(chosen[0]),
                limits.least_significant or None,
                limits.min_detectable or None,
            )
        )
    return rows


def label(first: Name, second: Name) -> str:
    """Return the `comparison` of a pair: `ita/main - text_crf/main`."""
    return f"{'/'.join(first)} - {'/'.join(second)}"


def best_main(means: Mapping[Name, float]) -> Name | None:
    """Return the main run with the highest mean F1, the first of equals; None without main runs.

    It is chosen on the scores that are then compared, so a test against it is descriptive.
    """
    mains = {name: value for name, value in means.items() if name[1] == MAIN}
    return max(mains, key=mains.__getitem__) if mains else None


def baseline(names: Iterable[Name]) -> Name | None:
    """Return the first main run of text_crf, whichever entry trained it; None without one."""
    return next((n for n in names if (base_system(n[0]), n[1]) == (BASELINE, MAIN)), None)


def comparisons(names: Sequence[Name], best: Name | None = None) -> list[tuple[Name, Name]]:
    """Return the pairs to compare, each once.

    Every main run with the baseline, then with the best main run, then every main run with its own
    other variants.
    """
    mains = [name for name in names if name[1] == MAIN]
    references = [name for name in (baseline(names), best) if name in mains]
    pairs = []
    for reference in dict.fromkeys(references):
        for name in mains:
            if name != reference and (reference, name) not in pairs:
                pairs.append((name, reference))
    for system, _ in mains:
        controls = [name for name in names if name[0] == system and name[1] != MAIN]
        controls.sort(key=lambda name: variant_order(name[1]))
        pairs += [((system, MAIN), control) for control in controls]
    return pairs


def paired_seeds(
    first: Sequence[SeedResult], second: Sequence[SeedResult]
) -> tuple[list[int], list[int]]:
    """Return the positions, in each group, of the seeds that both have, seed by seed."""
    places = [{result.seed: i for i, result in enumerate(group)} for group in (first, second)]
    common = sorted(places[0].keys() & places[1].keys())
    return [places[0][seed] for seed in common], [places[1][seed] for seed in common]
