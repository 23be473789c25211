"""Runs of a system with and without its parts -> the rows of an ablation table.

Every row is compared with the full model on the same tweets, by the paired bootstrap of
`train.stats`; of several evidence kinds each is resampled on its own tweets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extract.errors import DataError
from train.data import read_tagged
from train.metrics import ALL
from train.predictions import read_predictions
from train.stats import bootstrap_f1, paired_difference
from train.summary import SeedResult, group_seeds, read_views, seed_scores, tweet_counts


@dataclass(frozen=True)
class AblationRow:
    """One line of an ablation table; scores in percent, the headline view of the run."""

    dataset: str
    switch: str
    """Name of the row; the first of a dataset is the full model."""
    evidence: str
    """`all`, or a kind of evidence of the corpus."""
    n_seeds: int
    precision: float
    recall: float
    f1_mean: float
    f1_sd: float
    """Sample standard deviation over seeds; NaN with one seed."""
    delta: float | None = None
    """F1 minus that of the full model, points; None for the full model itself."""
    low: float | None = None
    high: float | None = None
    """95 % bounds of the difference; None where the tweets of a kind are not known."""
    p: float | None = None
    """Two-sided paired-bootstrap p of the difference."""


def ablation_rows(
    paths: Sequence[Path],
    runs: Mapping[str, str],
    samples: Mapping[str, Path],
    n_resamples: int,
) -> list[AblationRow]:
    """Return the rows of a table: by dataset, then as `runs`, `all` before the evidence kinds.

    Args:
        paths: metrics.json files; their predictions lie beside them.
        runs: row -> run id, the full model first.
        samples: dataset -> the evaluated samples, which say the evidence of each tweet.
        n_resamples: of the bootstrap.

    Raises:
        MissingFileError: no such file.
        DataError: a run has no metrics or is given twice, or the runs are about other tweets.
    """
    groups = group_seeds(
        [read_views(Path(path))[0] for path in paths], lambda r: (r.dataset, r.run)
    )
    rows = []
    for dataset in dict.fromkeys(dataset for dataset, _ in groups):
        table = {}
        for row, run in runs.items():
            if (dataset, run) not in groups:
                raise DataError(
                    f"row '{row}': no metrics of run '{run}' on dataset {dataset}. Name all of its "
                    "metrics.json files."
                )
            table[row] = groups[dataset, run]
        rows += _dataset_rows(dataset, table, samples.get(dataset), n_resamples)
    return rows


def _dataset_rows(
    dataset: str,
    table: Mapping[str, Sequence[SeedResult]],
    samples: Path | None,
    n_resamples: int,
) -> list[AblationRow]:
    full, *switches = table
    scored = [set(result.slices) for results in table.values() for result in results]
    kinds = [ALL, *sorted(set.intersection(*scored) - {ALL})]
    scores = {(row, kind): seed_scores(table[row], kind) for row in table for kind in kinds}
    counts = tweet_counts(table)
    tweets = _tweets_of(kinds, samples, table[full][0].predictions)
    gaps: dict[tuple[str, str], dict[str, float | None]] = {}
    for kind in kinds:
        chosen = tweets.get(kind)
        if chosen is not None:
            systems = [counts[row][:, chosen] for row in table]
            resampled = dict(zip(table, bootstrap_f1(systems, n_resamples).T, strict=True))
        for row in switches:
            delta = scores[row, kind]["f1_mean"] - scores[full, kind]["f1_mean"]
            gaps[row, kind] = {"delta": delta}
            if chosen is not None:
                gap = paired_difference(delta, resampled[row], resampled[full])
                gaps[row, kind] |= {"low": gap.low, "high": gap.high, "p": gap.p}
    return [
        AblationRow(dataset, row, kind, **found, **gaps.get((row, kind), {}))
        for (row, kind), found in scores.items()
    ]


def _tweets_of(
    kinds: Sequence[str], samples: Path | None, predictions: Path
) -> dict[str, slice | np.ndarray]:
    """Return which tweets each kind of evidence has; of `all` alone where no samples are given.

    Raises:
        DataError: the samples are not those of the predictions, or have no tweet of a kind.
    """
    tweets: dict[str, slice | np.ndarray] = {ALL: slice(None)}
    if samples is None:
        return tweets
    read = read_tagged(samples)
    if [s.tokens for s in read] != [text.tokens for text in read_predictions(predictions)]:
        raise DataError(f"{samples}: other tweets than {predictions}. Give the evaluated samples.")
    for kind in kinds[1:]:
        tweets[kind] = np.flatnonzero([sample.evidence == kind for sample in read])
        if not len(tweets[kind]):
            raise DataError(
                f"{samples}: no tweet of evidence '{kind}', which {predictions.parent} was scored "
                "on. Evaluate it on these samples."
            )
    return tweets
