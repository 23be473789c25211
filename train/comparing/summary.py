"""Scores over seeds: the rows of summary.tsv.

A row is a dataset, a system, a variant and a slice. F1 without another word is micro-averaged, in
conlleval's reading.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from train.comparing.results import Group, SeedResult
from train.measures.slices import slice_order

NAN = float("nan")


@dataclass(frozen=True)
class SummaryRow:
    """One line of summary.tsv; scores in percent, means over seeds, NaN where there is none."""

    dataset: str
    system: str
    variant: str
    slice: str
    """`all`, or a part of the tweets (`train.measures.slices`)."""
    n_seeds: int
    precision: float
    recall: float
    f1_mean: float
    """Micro F1, conlleval's reading."""
    f1_sd: float
    """Sample standard deviation over seeds of micro F1; NaN with one seed."""
    macro_f1_mean: float = NAN
    """Mean over the entity types of their F1."""
    strict_f1_mean: float = NAN
    """Micro F1 in strict IOB2."""
    seen_recall_mean: float = NAN
    """Recall of the mentions that training holds too."""
    unseen_recall_mean: float = NAN


def summary_rows(groups: dict[Group, list[SeedResult]]) -> list[SummaryRow]:
    """Return mean scores over seeds, `all` first in each group."""
    rows = []
    for group, results in groups.items():
        for name in slice_order(name for result in results for name in result.slices):
            scores = [result.slices[name] for result in results if name in result.slices]
            other = {
                "macro_f1_mean": mean_of(scores, "macro_f1"),
                "strict_f1_mean": mean_of(scores, "strict_f1"),
                "seen_recall_mean": mean_of(scores, "seen", "recall"),
                "unseen_recall_mean": mean_of(scores, "unseen", "recall"),
            }
            rows.append(SummaryRow(*group, name, **seed_scores(results, name), **other))
    return rows


def seed_scores(results: Sequence[SeedResult], name: str) -> dict[str, Any]:
    """Return number of seeds, mean precision, recall and micro F1, and the deviation of F1.

    Args:
        results: seeds of one run; those without this slice are left out.
        name: of the slice.
    """
    scores = [result.slices[name] for result in results if name in result.slices]
    f1s = [score["f1"] for score in scores]
    return {
        "n_seeds": len(scores),
        "precision": mean_of(scores, "precision"),
        "recall": mean_of(scores, "recall"),
        "f1_mean": mean_of(scores, "f1"),
        "f1_sd": statistics.stdev(f1s) if len(f1s) > 1 else NAN,
    }


def mean_of(scores: Sequence[dict[str, Any]], key: str, part: str = "") -> float:
    """Return the mean over seeds of a score, or of a part of it; NaN where a seed has none.

    A group of mentions that gold has none of is no score: its recall is NaN here, not 0.
    """
    values = []
    for score in scores:
        value = score.get(key)
        if part and value is not None:
            value = value[part] if value["n_gold"] else None
        values.append(value)
    return NAN if not values or None in values else statistics.fmean(values)
