"""How sure a difference is: resampling the tweets of the test split.

Everything works on per-tweet counts (n_correct, n_pred, n_gold), shape (S, N, 3): S seeds of one
system on the same N tweets. The statistic is the mean over seeds of corpus F1 in percent, so a
resample draws tweets, the same for every seed and system. Variation between seeds is not in these
intervals; the standard deviation over seeds stands beside them.

Sources: Efron and Tibshirani 1993 (percentile bootstrap); Berg-Kirkpatrick et al. 2012 (paired
bootstrap for F1); Noreen 1989 (approximate randomisation); Cohen 1988 (power).
`train.comparing.holm` corrects the p of several comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from extract.core.errors import ShapeError

N_RESAMPLES = 10_000
SEED = 20170
LEVEL = 0.95
POWER = 0.80

# Resamples drawn at a time: bounds the memory at about chunk x N integers.
_CHUNK = 250


@dataclass(frozen=True)
class Interval:
    """A mean or difference in F1 points, with its bounds and, for differences, a p value."""

    value: float
    low: float
    high: float
    p: float | None = None


def f1_of(totals: np.ndarray) -> np.ndarray:
    """Return F1 in percent of summed counts. # shape: (..., 3) -> (...)

    A corpus without gold and predicted entities has F1 0, as in `train.measures.metrics`.
    """
    denominator = totals[..., 1] + totals[..., 2]
    return 200.0 * totals[..., 0] / np.maximum(denominator, 1)


def mean_f1(counts: np.ndarray) -> float:
    """Return the mean over seeds of corpus F1, percent. # shape: (S, N, 3)"""
    return float(f1_of(counts.sum(axis=1)).mean())


def bootstrap_f1(
    systems: Sequence[np.ndarray], n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Return every system's seed-mean F1 on every resample of the tweets.

    Args:
        systems: counts of each system, shape (S_i, N, 3); the numbers of seeds may differ.
        n_resamples: number of resamples B.
        seed: decides the resamples.

    Returns:
        Shape (B, number of systems); row b of all systems is about the same tweets, so that
        differences within a row are paired.

    Raises:
        ShapeError: the systems are not on the same number of tweets.
    """
    n_tweets = _common_length(systems)
    flat = np.concatenate(
        [counts.transpose(1, 0, 2).reshape(n_tweets, -1) for counts in systems], 1
    )
    owners = np.repeat(np.arange(len(systems)), [len(counts) for counts in systems])
    means = np.zeros((len(owners), len(systems)))
    means[np.arange(len(owners)), owners] = 1 / np.bincount(owners)[owners]
    rng = np.random.default_rng(seed)
    results = []
    flat = flat.astype(np.float64)  # exact: a sum of counts is far below 2^53
    for start in range(0, n_resamples, _CHUNK):
        size = min(_CHUNK, n_resamples - start)
        weights = _draw_weights(rng, size, n_tweets)
        totals = (weights @ flat).reshape(size, len(owners), 3)
        results.append(f1_of(totals) @ means)
    return np.concatenate(results)


def _draw_weights(rng: np.random.Generator, size: int, n_tweets: int) -> np.ndarray:
    """Return how often each tweet is in each resample. # shape: (size, N), float64"""
    drawn = rng.integers(0, n_tweets, (size, n_tweets))
    drawn += np.arange(size)[:, None] * n_tweets
    counts = np.bincount(drawn.ravel(), minlength=size * n_tweets)
    return counts.reshape(size, n_tweets).astype(np.float64)


def percentile_interval(value: float, resampled: np.ndarray) -> Interval:
    """Return the interval between the percentiles of resampled values. # shape: (B,)"""
    tail = 50.0 * (1 - LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def least_p(first: np.ndarray, second: np.ndarray) -> float:
    """Return the smallest two-sided p that exchanging tweets can give: 2 / 2^d.

    The bootstrap knows no such floor: of three tweets that differ, all to one side, it says p = 0.

    Args:
        first: counts, shape (S_1, N, 3).
        second: counts of the other system on the same tweets; d of their N differ in the means.
    """
    differs = (first.mean(axis=0) != second.mean(axis=0)).any(axis=1)
    return min(1.0, 2.0 ** (1 - int(differs.sum())))


def paired_difference(
    value: float, first: np.ndarray, second: np.ndarray, least: float = 0.0
) -> Interval:
    """Return the interval of a difference and its two-sided bootstrap p.

    Args:
        value: the observed difference, first minus second.
        first: F1 on each resample, shape (B,).
        second: F1 of the other system on the same resamples, shape (B,).
        least: of `least_p`; p is not below it.

    Returns:
        p is twice the smaller share of resamples on either side of 0 (those on 0 count for both),
        with one added to both counts, so it is never 0.
    """
    deltas = first - second
    below, above = int((deltas <= 0).sum()), int((deltas >= 0).sum())
    p = max(least, min(1.0, 2 * (min(below, above) + 1) / (len(deltas) + 1)))
    interval = percentile_interval(value, deltas)
    return Interval(interval.value, interval.low, interval.high, p)


@dataclass(frozen=True)
class Detectable:
    """How small a difference between two systems a test split can show, in F1 points."""

    least_significant: float
    """z(0.975) = 1.96 standard errors (a standard error is the standard deviation of the paired
    difference over resamples of the tweets): an observed difference from here on is significant at
    5 %, two-sided. A true difference of this size is found only half of the time."""
    min_detectable: float
    """(z(0.975) + z(0.80)) = 2.80 standard errors: a true difference of this size is found in 80 %
    of test splits like this one. What a comparison must expect to be worth making."""


def detectable_difference(first: np.ndarray, second: np.ndarray) -> Detectable:
    """Return the smallest difference that a paired two-sided test of two systems detects.

    It belongs to a pair of systems and a split: the more alike the two tag, the smaller it is.
    The difference is taken as normal with the standard deviation that the bootstrap gives.

    Args:
        first: F1 on each resample, percent, shape (B,).
        second: F1 of the other system on the same resamples, shape (B,).

    Raises:
        ShapeError: fewer than two resamples, or not the same ones.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ShapeError(
            f"two equal rows of at least two resamples are needed, got {first.shape} and "
            f"{second.shape}"
        )
    error = float((first - second).std(ddof=1))
    quantile = NormalDist().inv_cdf
    significant = quantile((1 + LEVEL) / 2)
    return Detectable(significant * error, (significant + quantile(POWER)) * error)


def randomisation_p(
    first: np.ndarray, second: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> float:
    """Return the two-sided approximate-randomisation p of a difference in seed-mean F1.

    Args:
        first: counts, shape (S, N, 3).
        second: counts of the other system, the same shape: seed k is swapped with seed k.
        n_resamples: number of random swaps.
        seed: decides them.

    Raises:
        ShapeError: other numbers of seeds or tweets.
    """
    if first.shape != second.shape:
        raise ShapeError(f"counts of shape {first.shape} and {second.shape} cannot be swapped")
    n_seeds, n_tweets, _ = first.shape
    observed = abs(mean_f1(first) - mean_f1(second))
    both = (first + second).sum(axis=1)
    difference = (second - first).transpose(1, 0, 2).reshape(n_tweets, -1).astype(np.float64)
    base = first.sum(axis=1)
    rng = np.random.default_rng(seed)
    n_extreme = 0
    for start in range(0, n_resamples, _CHUNK):
        size = min(_CHUNK, n_resamples - start)
        swaps = rng.integers(0, 2, (size, n_tweets)).astype(np.float64)
        one = base + (swaps @ difference).reshape(size, n_seeds, 3)
        gaps = f1_of(one).mean(axis=1) - f1_of(both - one).mean(axis=1)
        # Equal up to rounding counts as equally extreme.
        n_extreme += int((np.abs(gaps) >= observed - 1e-9).sum())
    return (n_extreme + 1) / (n_resamples + 1)


def _common_length(systems: Sequence[np.ndarray]) -> int:
    lengths = {counts.shape[1] for counts in systems}
    if len(lengths) != 1:
        raise ShapeError(f"systems on different numbers of tweets: {sorted(lengths)}")
    return lengths.pop()
