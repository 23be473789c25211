"""Resampling statistics against brute force and scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from extract.errors import ShapeError
from train.stats import (
    bootstrap_f1,
    f1_of,
    mean_f1,
    paired_difference,
    percentile_interval,
    randomisation_p,
)


def random_counts(seed: int, n_seeds: int, n_tweets: int, skill: float = 0.7) -> np.ndarray:
    """Return plausible counts; the gold numbers depend on the tweet only."""
    gold = np.random.default_rng(0).integers(0, 3, n_tweets)
    rng = np.random.default_rng(seed)
    correct = rng.binomial(gold, skill, (n_seeds, n_tweets))
    pred = correct + rng.integers(0, 2, (n_seeds, n_tweets))
    return np.stack([correct, pred, np.broadcast_to(gold, pred.shape)], axis=2)


def test_f1_of_counts() -> None:
    assert f1_of(np.array([1, 3, 4])) == pytest.approx(200 / 7)
    assert f1_of(np.array([0, 0, 0])) == 0.0
    counts = np.array([[[1, 1, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 1]]])
    assert mean_f1(counts) == pytest.approx((50 + 100) / 2)


def test_bootstrap_equals_a_direct_loop() -> None:
    systems = [random_counts(1, 3, 30), random_counts(2, 2, 30)]
    resampled = bootstrap_f1(systems, n_resamples=300, seed=5)
    rng = np.random.default_rng(5)
    for chunk in (250, 50):
        for row, drawn in enumerate(rng.integers(0, 30, (chunk, 30))):
            expected = [mean_f1(counts[:, drawn]) for counts in systems]
            np.testing.assert_allclose(resampled[row + (250 if chunk == 50 else 0)], expected)
    assert resampled.shape == (300, 2)


def test_bootstrap_covers_the_exact_distribution() -> None:
    counts = np.array([[[1, 1, 1], [0, 1, 1], [2, 2, 3]]])
    exact = [mean_f1(counts[:, list(drawn)]) for drawn in itertools.product(range(3), repeat=3)]
    resampled = bootstrap_f1([counts], n_resamples=20_000, seed=1)[:, 0]
    assert set(np.round(resampled, 6)) == set(np.round(exact, 6))
    assert resampled.mean() == pytest.approx(np.mean(exact), abs=0.3)
    assert resampled.std() == pytest.approx(np.std(exact), rel=0.03)


def test_interval_agrees_with_scipys_percentile_bootstrap() -> None:
    counts = random_counts(3, 1, 200)
    ours = percentile_interval(mean_f1(counts), bootstrap_f1([counts], 4000)[:, 0])

    def statistic(index: np.ndarray, axis: int) -> np.ndarray:
        return f1_of(counts[0][index.astype(int)].sum(axis=-2))

    theirs = scipy_stats.bootstrap(
        (np.arange(200),), statistic, n_resamples=4000, method="percentile", rng=1, batch=500
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.4)
    assert ours.high == pytest.approx(theirs.high, abs=0.4)
    assert ours.low < ours.value < ours.high and ours.p is None


def test_paired_difference_counts_the_tails() -> None:
    first, second = np.array([3.0, 2.0, 1.0, 5.0]), np.array([1.0, 1.0, 2.0, 5.0])
    result = paired_difference(1.0, first, second)
    # deltas 2, 1, -1, 0: two are <= 0, three are >= 0
    assert result.p == pytest.approx(min(1.0, 2 * 3 / 5))
    assert result.value == 1.0 and -1.0 <= result.low <= result.high <= 2.0


def test_equal_systems_do_not_differ_and_unequal_ones_do() -> None:
    good, bad = random_counts(1, 3, 400, 0.9), random_counts(2, 3, 400, 0.6)
    same, column = mean_f1(good), bootstrap_f1([good, bad], 2000)
    assert paired_difference(0.0, column[:, 0], column[:, 0]).p == 1.0
    assert randomisation_p(good, good, 500) == 1.0
    gap = paired_difference(same - mean_f1(bad), column[:, 0], column[:, 1])
    assert gap.p < 0.002 and gap.low > 0
    assert randomisation_p(good, bad, 2000) < 0.002


def test_randomisation_equals_all_swaps() -> None:
    first, second = random_counts(4, 2, 9, 0.9), random_counts(5, 2, 9, 0.5)
    observed = abs(mean_f1(first) - mean_f1(second))
    n_extreme = 0
    for swap in itertools.product([False, True], repeat=9):
        mask = np.array(swap)[None, :, None]
        gap = mean_f1(np.where(mask, second, first)) - mean_f1(np.where(mask, first, second))
        n_extreme += abs(gap) >= observed - 1e-9
    assert randomisation_p(first, second, 20_000) == pytest.approx(n_extreme / 2**9, abs=0.012)


def test_false_alarms_are_as_rare_as_stated() -> None:
    alarms = 0
    for seed in range(100):
        pair = [random_counts(1000 + 2 * seed, 1, 150), random_counts(1001 + 2 * seed, 1, 150)]
        column = bootstrap_f1(pair, 250, seed)
        alarms += paired_difference(0.0, column[:, 0], column[:, 1]).p < 0.05
    # binomial(100, 0.05) exceeds 13 in less than one case of a thousand
    assert alarms <= 13


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="different numbers of tweets"):
        bootstrap_f1([random_counts(1, 1, 5), random_counts(1, 1, 6)])
    with pytest.raises(ShapeError, match="cannot be swapped"):
        randomisation_p(random_counts(1, 1, 5), random_counts(1, 2, 5))
