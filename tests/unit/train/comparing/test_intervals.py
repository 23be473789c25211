"""Comparisons of a dataset: which pairs, which seeds, which p."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.builders.train.run_folders import write_run
from train.comparing.holm import holm
from train.comparing.intervals import best_main, comparisons, interval_rows, paired_seeds
from train.comparing.results import read_results, tweet_counts
from train.comparing.statistics import bootstrap_f1, detectable_difference, randomisation_p

N_RESAMPLES = 400


@pytest.fixture
def groups(tmp_path: Path):
    """text_crf and acn with three seeds, ita with two, its controls with one each."""
    paths = [write_run(tmp_path, "text_crf", seed=s, skill=0.6) for s in (1, 2, 3)]
    paths += [write_run(tmp_path, "acn", seed=s, skill=0.7) for s in (1, 2, 3)]
    paths += [write_run(tmp_path, "ita", seed=s, skill=0.9) for s in (2, 3)]
    for variant in ("without_captions", "blank", "without_ocr"):
        paths.append(write_run(tmp_path, "ita", variant, 3, skill=0.6, run=f"ita-{variant}"))
    return read_results(paths)


def test_pairs_against_baseline_best_and_controls(groups) -> None:
    found = [row.comparison for row in interval_rows(groups, 10)]
    assert found == [
        "text_crf/main",
        "acn/main",
        "ita/main",
        "ita/blank",
        "ita/without_captions",
        "ita/without_ocr",
        "acn/main - text_crf/main",
        "ita/main - text_crf/main",
        "acn/main - ita/main",
        "ita/main - ita/blank",
        "ita/main - ita/without_captions",
        "ita/main - ita/without_ocr",
    ]


def test_no_pair_is_compared_twice() -> None:
    names = [("text_crf", "main"), ("acn", "main"), ("ita", "main")]
    pairs = comparisons(names, ("text_crf", "main"))
    assert pairs == [(name, ("text_crf", "main")) for name in names[1:]]
    assert comparisons(names[1:], ("acn", "main")) == [(("ita", "main"), ("acn", "main"))]


def test_the_best_is_a_main_run() -> None:
    means = {("a", "main"): 1.0, ("b", "main"): 2.0, ("c", "main"): 2.0, ("b", "blank"): 3.0}
    assert best_main(means) == ("b", "main")
    assert best_main({("b", "blank"): 3.0}) is None


def test_p_is_corrected_for_all_comparisons_of_the_dataset(groups) -> None:
    rows = [row for row in interval_rows(groups, N_RESAMPLES) if " - " in row.comparison]
    assert [row.p_holm for row in rows] == holm([row.p for row in rows])
    assert any(row.p_holm > row.p for row in rows)
    twice = {**groups, **{("b", *key[1:]): seeds for key, seeds in groups.items()}}
    again = [row for row in interval_rows(twice, N_RESAMPLES) if " - " in row.comparison]
    assert [replace(row, dataset="toy") for row in again] == [*rows, *rows]


def test_randomisation_takes_the_seeds_that_both_have(groups) -> None:
    rows = {row.comparison: row for row in interval_rows(groups, N_RESAMPLES)}
    counts = tweet_counts(groups)
    acn, crf, ita, blank = (
        counts["toy", system, variant]
        for system, variant in (
            ("acn", "main"),
            ("text_crf", "main"),
            ("ita", "main"),
            ("ita", "blank"),
        )
    )
    for comparison, n_seeds, first, second in (
        ("acn/main - text_crf/main", 3, acn, crf),
        ("ita/main - text_crf/main", 2, ita, crf[1:]),
        ("ita/main - ita/blank", 1, ita[1:], blank),
    ):
        row = rows[comparison]
        assert row.n_paired_seeds == n_seeds
        assert row.p_randomisation == randomisation_p(first, second, N_RESAMPLES)
    limits = detectable_difference(*bootstrap_f1([ita, crf], N_RESAMPLES).T)
    row = rows["ita/main - text_crf/main"]
    assert (row.least_significant, row.min_detectable) == pytest.approx(
        (limits.least_significant, limits.min_detectable)
    )
    assert np.isclose(row.delta, rows["ita/main"].delta - rows["text_crf/main"].delta)


def test_without_common_seeds_there_is_no_randomisation(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, "text_crf", seed=1, skill=0.5),
        write_run(tmp_path, "ita", seed=2, skill=0.9),
    ]
    row = interval_rows(read_results(paths), N_RESAMPLES)[-1]
    assert (row.p_randomisation, row.n_paired_seeds) == (None, 0)
    assert 0 < row.p <= row.p_holm <= 1 and row.low < row.delta < row.high


def test_paired_seeds_are_positions_in_each_group(groups) -> None:
    crf, ita = groups["toy", "text_crf", "main"], groups["toy", "ita", "main"]
    assert paired_seeds(crf, ita) == ([1, 2], [0, 1])
