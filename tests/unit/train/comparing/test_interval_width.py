"""The width of bootstrap intervals on the gold of the real test splits.

Of a text-only CRF half the width (95 %, 3000 resamples) is known: 1.32 at F1 63.24 on Twitter-2015,
2.29 at 76.19 on Twitter-2017. At another F1 it goes with sqrt(F1 (100 - F1)), as that of a share.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans
from train.comparing.statistics import (
    bootstrap_f1,
    detectable_difference,
    mean_f1,
    percentile_interval,
)
from train.measures.metrics import per_tweet_counts

KNOWN = {"twitter2015": (63.24, 1.32), "twitter2017": (76.19, 2.29)}


def noisy_tags(sample: Sample, rng: random.Random) -> list[str]:
    """Return gold tags with entities missed, of another type, or invented.

    Errors come together, as those of a tagger do: one tweet in four is hard.
    """
    error = 0.5 if rng.random() < 0.25 else 0.05
    tags = ["O"] * len(sample.tokens)
    for name, start, end in entity_spans(sample.tags):
        fate = rng.random()
        if fate >= 0.6 * error:
            kind = name if fate >= error else "MISC" if name != "MISC" else "PER"
            tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    place = rng.randrange(len(tags))
    if rng.random() < error and tags[place] == "O":
        tags[place] = "B-ORG"
    return tags


def counts_of(test: Sequence[Sample], seed: int) -> np.ndarray:
    rng = random.Random(seed)
    pred = [noisy_tags(sample, rng) for sample in test]
    return per_tweet_counts([sample.tags for sample in test], pred)[None]


@pytest.mark.parametrize("corpus", KNOWN)
def test_intervals_are_as_wide_as_those_of_real_taggers(shared_data: Path, corpus: str) -> None:
    test = list(iter_samples(shared_data / corpus, "test", TextSettings()))
    first, second = counts_of(test, 1), counts_of(test, 2)
    resampled = bootstrap_f1([first, second], 3000)
    f1 = mean_f1(first)
    assert 81 < f1 < 86
    interval = percentile_interval(f1, resampled[:, 0])
    known_f1, known_half = KNOWN[corpus]
    scale = math.sqrt(f1 * (100 - f1) / (known_f1 * (100 - known_f1)))
    half = (interval.high - interval.low) / 2
    assert half == pytest.approx(known_half * scale, rel=0.12)
    # Two systems that err apart: the paired difference is as uncertain as two single scores.
    limits = detectable_difference(resampled[:, 0], resampled[:, 1])
    assert limits.least_significant == pytest.approx(half * math.sqrt(2), rel=0.2)
