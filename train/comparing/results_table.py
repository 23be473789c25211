"""The results table: systems and variants with intervals, tests and what is published of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from train.comparing.intervals import IntervalRow, Name, baseline, best_main, label
from train.comparing.published import obstacles, published_for, run_facts, verdict
from train.comparing.results import MAIN, Group, SeedResult, base_system
from train.comparing.summary import NAN, mean_of, seed_scores
from train.measures.slices import ALL


@dataclass(frozen=True)
class ResultRow:
    """One line of table.tsv: scores in percent, means over seeds; differences in F1 points.

    Every p is of the two-sided paired bootstrap over tweets, after Holm's correction for all
    comparisons of the dataset. A cell is empty where there is nothing to say: a row is not compared
    with itself, and only main rows stand beside published numbers.
    """

    dataset: str
    system: str
    variant: str
    n_seeds: int
    f1_mean: float
    """Micro F1, conlleval's reading."""
    f1_sd: float
    low: float
    high: float
    """95 % bounds of `f1_mean`, bootstrap over tweets."""
    macro_f1_mean: float
    strict_f1_mean: float
    seen_recall_mean: float
    unseen_recall_mean: float
    repaired_f1_mean: float
    """Micro F1 of the same predictions against the repaired gold; NaN without one."""
    delta_baseline: float | None
    """Minus text_crf/main."""
    p_baseline: float | None
    delta_best: float | None
    """Minus the best main run of the dataset."""
    p_best: float | None
    delta_main: float | None
    """Of a control: minus the main run of the same system."""
    p_main: float | None
    min_detectable: float | None
    """The true difference that the test of this row finds with 80 % power, before Holm's
    correction: against text_crf, or of a control against its main run."""
    computed_in: str
    """`fp32` or `bf16`, what the runs were trained and scored in."""
    encoder: str
    published_f1: float | None
    published_source: str
    published_provenance: str
    """`own` or `second_hand`."""
    comparable: str
    """`yes`, `no:` and why, or `unclear:` and what is not known of the published score."""
    published_note: str


def result_rows(
    groups: Mapping[Group, Sequence[SeedResult]], intervals: Sequence[IntervalRow]
) -> list[ResultRow]:
    """Return one row a group, in the order of the groups.

    Args:
        groups: of `train.comparing.results.read_results`; run.json of a seed lies beside its
            predictions.
        intervals: of `train.comparing.intervals.interval_rows` on the same groups.
    """
    rows = []
    for dataset in dict.fromkeys(group[0] for group in groups):
        mine = {group[1:]: results for group, results in groups.items() if group[0] == dataset}
        compared = {row.comparison: row for row in intervals if row.dataset == dataset}
        best = best_main({name: compared["/".join(name)].delta for name in mine})
        for name, results in mine.items():
            tests = _tests(name, compared, baseline(mine), best)
            rows.append(
                ResultRow(
                    dataset,
                    *name,
                    **_scores(results),
                    low=compared["/".join(name)].low,
                    high=compared["/".join(name)].high,
                    **tests,
                    **_published(dataset, name, results),
                )
            )
    return rows


def _scores(results: Sequence[SeedResult]) -> dict[str, float]:
    scores = [result.slices[ALL] for result in results]
    repaired = [result.repaired[ALL] for result in results if ALL in result.repaired]
    means = seed_scores(results, ALL)
    return {
        "n_seeds": means["n_seeds"],
        "f1_mean": means["f1_mean"],
        "f1_sd": means["f1_sd"],
        "macro_f1_mean": mean_of(scores, "macro_f1"),
        "strict_f1_mean": mean_of(scores, "strict_f1"),
        "seen_recall_mean": mean_of(scores, "seen", "recall"),
        "unseen_recall_mean": mean_of(scores, "unseen", "recall"),
        # Of all seeds or of none: a mean over fewer would not be that of the row.
        "repaired_f1_mean": mean_of(repaired, "f1") if len(repaired) == len(results) else NAN,
    }


def _tests(
    name: Name, compared: Mapping[str, IntervalRow], first: Name | None, best: Name | None
) -> dict[str, float | None]:
    main = (name[0], MAIN)
    found: dict[str, float | None] = {}
    for column, other in (("baseline", first), ("best", best), ("main", main)):
        found[f"delta_{column}"], found[f"p_{column}"], _ = _gap(name, other, compared)
    reference = first if name[1] == MAIN else main
    found["min_detectable"] = _gap(name, reference, compared)[2]
    return found


def _gap(
    first: Name, second: Name | None, compared: Mapping[str, IntervalRow]
) -> tuple[float | None, float | None, float | None]:
    """Return difference, p and detectable difference of a pair, whichever way it was compared."""
    if second is None:
        return None, None, None
    for pair, sign in (((first, second), 1), ((second, first), -1)):
        row = compared.get(label(*pair))
        if row is not None:
            return sign * row.delta, row.p_holm, row.min_detectable
    return None, None, None


def _published(dataset: str, name: Name, results: Sequence[SeedResult]) -> dict[str, object]:
    facts = [run_facts(r.predictions.parent, r.slices[ALL]["n_samples"]) for r in results]
    encoders = " | ".join(dict.fromkeys(fact.encoder for fact in facts))
    entry = published_for(base_system(name[0]), dataset, facts[0]) if name[1] == MAIN else None
    reasons = [reason for fact in facts for reason in obstacles(entry, fact)] if entry else []
    return {
        "computed_in": ", ".join(dict.fromkeys(fact.precision for fact in facts)),
        "encoder": encoders,
        "published_f1": entry.f1 if entry else None,
        "published_source": entry.source if entry else "",
        "published_provenance": entry.provenance if entry else "",
        "comparable": verdict(list(dict.fromkeys(reasons)), entry.doubts) if entry else "",
        "published_note": entry.note if entry else "",
    }
