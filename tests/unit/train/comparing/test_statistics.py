"""Resampling statistics against brute force and scipy."""

import itertools
import random
import time

import numpy as np
import pytest
from scipy import stats as scipy_stats

from extract.core.errors import ShapeError
from train.comparing.statistics import (
    bootstrap_f1,
    detectable_difference,
    f1_of,
    least_p,
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


def test_paired_interval_agrees_with_scipys_of_several_seeds() -> None:
    systems = [random_counts(11, 3, 150, 0.85), random_counts(12, 2, 150, 0.75)]
    value = mean_f1(systems[0]) - mean_f1(systems[1])
    ours = paired_difference(value, *bootstrap_f1(systems, 8000).T)

    def statistic(index: np.ndarray, axis: int) -> np.ndarray:
        """Seed-mean F1 of the first minus that of the second. # shape: (..., N) -> (...)"""
        first, second = (
            f1_of(counts[:, index.astype(int)].sum(axis=-2)).mean(axis=0) for counts in systems
        )
        return first - second

    theirs = scipy_stats.bootstrap(
        (np.arange(150),), statistic, n_resamples=8000, method="percentile", rng=3, batch=500
    )
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.25)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.25)
    limits = detectable_difference(*bootstrap_f1(systems, 8000, seed=4).T)
    assert limits.least_significant == pytest.approx(1.96 * theirs.standard_error, rel=0.05)
    assert limits.min_detectable == pytest.approx(2.8016 * theirs.standard_error, rel=0.05)


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


def test_p_is_not_below_what_exchanging_tweets_can_give() -> None:
    right, wrong = np.array([[[1, 1, 1]] * 5]), np.array([[[0, 1, 1]] * 5])
    column = bootstrap_f1([right, wrong], 1000).T
    assert paired_difference(100.0, *column).p < 0.01
    assert least_p(right, wrong) == 2 / 2**5 == pytest.approx(randomisation_p(right, wrong), 0.1)
    assert paired_difference(100.0, *column, least=least_p(right, wrong)).p == 2 / 2**5
    assert least_p(right, right) == 1.0
    assert least_p(np.concatenate([right, wrong]), right) == 2 / 2**5


def test_randomisation_equals_all_swaps() -> None:
    first, second = random_counts(4, 2, 9, 0.9), random_counts(5, 2, 9, 0.5)
    observed = abs(mean_f1(first) - mean_f1(second))
    n_extreme = 0
    for swap in itertools.product([False, True], repeat=9):
        mask = np.array(swap)[None, :, None]
        gap = mean_f1(np.where(mask, second, first)) - mean_f1(np.where(mask, first, second))
        n_extreme += abs(gap) >= observed - 1e-9
    assert randomisation_p(first, second, 20_000) == pytest.approx(n_extreme / 2**9, abs=0.012)


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_randomisation_agrees_with_scipys_permutation_test(n_seeds: int) -> None:
    first, second = random_counts(4, n_seeds, 11, 0.95), random_counts(5, n_seeds, 11, 0.5)
    both = np.concatenate([first, second], axis=1)  # positions 0..10 and 11..21

    def statistic(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        ours, theirs = (
            f1_of(both[:, x.astype(int)].sum(axis=-2)).mean(axis=0)
            for x in (np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1))
        )
        return ours - theirs

    # 2^11 swaps are fewer than the resamples, so scipy goes through all of them.
    theirs = scipy_stats.permutation_test(
        (np.arange(11), np.arange(11, 22)),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        alternative="two-sided",
    )
    assert theirs.statistic == pytest.approx(mean_f1(first) - mean_f1(second))
    assert 0.001 < theirs.pvalue < 0.9
    assert randomisation_p(first, second, 20_000) == pytest.approx(theirs.pvalue, abs=0.012)


def test_detectable_difference_has_the_power_that_it_states() -> None:
    """Systems that differ by so much are told apart in about 80 % of test splits, by its own test.

    Each tweet has one entity; the second system also misses some that the first finds.
    """
    n_tweets, share = 400, 0.05
    rng = np.random.default_rng(8)

    def counts(correct: np.ndarray) -> np.ndarray:
        ones = np.ones_like(correct)
        return np.stack([correct, ones, ones], axis=-1)[None]

    def draw(gain: float) -> list[np.ndarray]:
        """Two systems that differ on some tweets, the first better by `gain` points on average."""
        fate = rng.random(n_tweets)
        wins, loses = fate < share + gain / 100, fate > 1 - share
        right = rng.random(n_tweets) < 0.8
        return [counts(np.where(wins, 1, np.where(loses, 0, right)) * 1),
                counts(np.where(wins, 0, np.where(loses, 1, right)) * 1)]  # fmt: skip

    limits = [detectable_difference(*bootstrap_f1(draw(4.5), 400, n).T) for n in range(20)]
    gain = float(np.mean([limit.min_detectable for limit in limits]))
    assert limits[0].min_detectable / limits[0].least_significant == pytest.approx(
        2.8016 / 1.9600, rel=1e-4
    )
    found = 0
    for number in range(150):
        resampled = bootstrap_f1(draw(gain), 300, number)
        found += paired_difference(0.0, *resampled.T).p < 0.05
    # 150 x 0.8 = 120; the normal form and 300 resamples move it by a few
    assert 104 <= found <= 136


def test_detectable_difference_needs_pairs() -> None:
    with pytest.raises(ShapeError, match="two equal rows"):
        detectable_difference(np.zeros(5), np.zeros(6))
    with pytest.raises(ShapeError, match="at least two resamples"):
        detectable_difference(np.zeros(1), np.zeros(1))
    same = detectable_difference(np.arange(5.0), np.arange(5.0))
    assert same.least_significant == same.min_detectable == 0.0


def test_false_alarms_are_as_rare_as_stated() -> None:
    alarms = 0
    for seed in range(100):
        pair = [random_counts(1000 + 2 * seed, 1, 150), random_counts(1001 + 2 * seed, 1, 150)]
        column = bootstrap_f1(pair, 250, seed)
        alarms += paired_difference(0.0, column[:, 0], column[:, 1]).p < 0.05
    # binomial(100, 0.05) exceeds 13 in less than one case of a thousand
    assert alarms <= 13


def test_a_table_of_ten_systems_is_bootstrapped_far_faster_than_by_a_loop() -> None:
    """Size of Twitter-2015: 3257 tweets, 3 seeds. Both are timed here, on the same machine."""
    systems = [random_counts(seed, 3, 3257) for seed in range(10)]
    started = time.perf_counter()
    assert bootstrap_f1(systems, 10_000).shape == (10_000, 10)
    vectorised = (time.perf_counter() - started) / 10_000
    rows = [[seed.tolist() for seed in counts] for counts in systems]
    started = time.perf_counter()
    draw = random.Random(1).choices(range(3257), k=3257)
    totals = [[[sum(column) for column in zip(*(seed[i] for i in draw), strict=True)]
               for seed in seeds] for seeds in rows]  # fmt: skip
    by_loop = time.perf_counter() - started
    np.testing.assert_allclose(
        f1_of(np.array(totals)).mean(axis=1), [mean_f1(counts[:, draw]) for counts in systems]
    )
    assert vectorised < by_loop / 20  # measured: some hundreds


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="different numbers of tweets"):
        bootstrap_f1([random_counts(1, 1, 5), random_counts(1, 1, 6)])
    with pytest.raises(ShapeError, match="cannot be swapped"):
        randomisation_p(random_counts(1, 1, 5), random_counts(1, 2, 5))
