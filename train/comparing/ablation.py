"""Runs of a system with and without its parts -> the rows of an ablation table.

Every row is compared with the full model on the same tweets, by the paired bootstrap of
`train.comparing.statistics`; each slice is resampled on its own tweets. The tests of one slice of
one corpus are one family, and `p_holm` is corrected for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import DataError
from train.comparing.holm import holm
from train.comparing.results import SeedResult, group_seeds, read_views, tweet_counts
from train.comparing.statistics import bootstrap_f1, least_p, paired_difference
from train.comparing.summary import seed_scores
from train.data.examples import read_tagged
from train.measures.predictions import read_predictions
from train.measures.slices import ALL, IMAGE_SLICES, slice_order, tweet_slices


@dataclass(frozen=True)
class AblationRow:
    """One line of an ablation table; scores in percent, the headline view of the run."""

    dataset: str
    switch: str
    """Name of the row; the first of a dataset is the full model."""
    slice: str
    """`all`, or a part of the tweets (`train.measures.slices`)."""
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
    """95 % bounds of the difference; None where the tweets of a slice are not known."""
    p: float | None = None
    """Two-sided paired-bootstrap p of the difference, not corrected."""
    p_holm: float | None = None
    """`p` after Holm's correction for the switches of the table, in this slice."""


def ablation_rows(
    paths: Sequence[Path],
    runs: Mapping[str, str],
    samples: Mapping[str, Path],
    n_resamples: int,
) -> list[AblationRow]:
    """Return the rows of a table: by dataset, then as `runs`, `all` before the other slices.

    Args:
        paths: metrics.json files; their predictions lie beside them.
        runs: row -> run id, the full model first.
        samples: dataset -> the evaluated samples, which say the slices of each tweet.
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
    names = slice_order(set.intersection(*scored) | {ALL})
    scores = {(row, name): seed_scores(table[row], name) for row in table for name in names}
    counts = tweet_counts(table)
    tweets = _tweets_of(names, samples, table[full][0].predictions)
    gaps: dict[tuple[str, str], dict[str, float | None]] = {}
    for name in names:
        for row in switches:
            delta = scores[row, name]["f1_mean"] - scores[full, name]["f1_mean"]
            gaps[row, name] = {"delta": delta}
        if name in tweets and switches:
            systems = [counts[row][:, tweets[name]] for row in table]
            resampled = dict(zip(table, bootstrap_f1(systems, n_resamples).T, strict=True))
            chosen = dict(zip(table, systems, strict=True))
            found = [
                paired_difference(
                    gaps[row, name]["delta"],
                    resampled[row],
                    resampled[full],
                    least=least_p(chosen[row], chosen[full]),
                )
                for row in switches
            ]
            corrected = holm([gap.p for gap in found])
            for row, gap, p_holm in zip(switches, found, corrected, strict=True):
                gaps[row, name] |= {"low": gap.low, "high": gap.high, "p": gap.p, "p_holm": p_holm}
    return [
        AblationRow(dataset, row, name, **found, **gaps.get((row, name), {}))
        for (row, name), found in scores.items()
    ]


def _tweets_of(
    names: Sequence[str], samples: Path | None, predictions: Path
) -> dict[str, slice | list[int]]:
    """Return which tweets each slice has; of `all` alone where no samples are given.

    Samples do not say which images are usable, so the image slices are never known.

    Raises:
        DataError: the samples are not those of the predictions, or have no tweet of a slice.
    """
    tweets: dict[str, slice | list[int]] = {ALL: slice(None)}
    if samples is None:
        return tweets
    read = read_tagged(samples)
    if [s.tokens for s in read] != [text.tokens for text in read_predictions(predictions)]:
        raise DataError(f"{samples}: other tweets than {predictions}. Give the evaluated samples.")
    found = tweet_slices(read)
    for name in names[1:]:
        if name in IMAGE_SLICES:
            continue
        if name not in found:
            raise DataError(
                f"{samples}: no tweet of the slice '{name}', which {predictions.parent} was scored "
                "on. Evaluate it on these samples."
            )
        tweets[name] = found[name]
    return tweets
