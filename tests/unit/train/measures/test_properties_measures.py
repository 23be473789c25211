"""Predictions are read as they were written; orders of samples are what they must be."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.core.errors import DataError
from extract.tables.samples import Sample
from tests.builders.extract.strategies import TEXT, tagged, words
from train.data.batches import eval_batches
from train.data.derangement import derange
from train.measures.predictions import HEADER, read_predictions, write_predictions
from train.training.sampling import train_batches, update_parts

# Whatever a table of samples can hold, and what a file of lines and tabs could confuse.
TOKENS = words() | st.sampled_from(["", "\t", "a\tb\tc", HEADER, f"{HEADER}x", "\r", " "]) | TEXT
SAMPLES = st.lists(tagged(TOKENS, TOKENS), max_size=5)


@given(SAMPLES, st.data())
def test_predictions_are_read_back(samples: list[Sample], data: st.DataObject) -> None:
    tags = st.sampled_from(["O", "B-PER", "I-LOC"])
    pred = [
        data.draw(st.lists(tags, min_size=len(s.tokens), max_size=len(s.tokens))) for s in samples
    ]
    texts = [text for sample in samples for text in (sample.image_id, *sample.tokens)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.conll"
        if any("\n" in text for text in texts):
            with pytest.raises(DataError, match="line break"):
                write_predictions(path, samples, pred)
            assert not path.exists()
            return
        write_predictions(path, samples, pred)
        found = read_predictions(path)
    assert [(t.image_id, t.tokens, t.gold, t.pred) for t in found] == [
        (s.image_id, s.tokens, s.tags, p) for s, p in zip(samples, pred, strict=True)
    ]


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=20), st.integers(0, 99))
def test_a_derangement_exists_exactly_where_no_image_has_more_than_half(
    image_ids: list[str], seed: int
) -> None:
    if 2 * max(Counter(image_ids).values()) > len(image_ids):
        with pytest.raises(DataError, match="cannot all get another one"):
            derange(image_ids, seed)
        return
    donors = derange(image_ids, seed)
    assert sorted(donors) == list(range(len(image_ids)))
    assert all(image_ids[i] != image_ids[donor] for i, donor in enumerate(donors))
    assert derange(image_ids, seed) == donors


def of_lengths(lengths: list[int]) -> list[Sample]:
    return [Sample(str(i), "", ["x"] * length) for i, length in enumerate(lengths)]


@given(
    st.lists(st.integers(1, 9), max_size=300),
    st.integers(1, 7),
    st.booleans(),
    st.integers(0, 99),
    st.integers(1, 5),
)
def test_an_epoch_has_every_sample_once_and_as_many_batches_a_process(
    lengths: list[int], batch_size: int, buckets: bool, seed: int, world: int
) -> None:
    samples = of_lengths(lengths)
    batches = train_batches(samples, batch_size, np.random.default_rng(seed), buckets=buckets)
    assert sorted(i for batch in batches for i in batch) == list(range(len(samples)))
    sizes = [len(batch) for batch in batches]
    assert all(size == batch_size for size in sorted(sizes, reverse=True)[:-1])
    shares = [update_parts(batches, 1, rank=rank, world=world) for rank in range(world)]
    # Taken in turn they are the batches of one process; one without a batch takes part too.
    together = [part for turn in zip(*shares, strict=True) for parts in turn for part in parts]
    assert [part.indices for part in together if part.is_counted] == batches
    assert len(together) - len(batches) < world


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(1, 7))
def test_evaluation_takes_every_sample_once_long_ones_first(
    lengths: list[int], batch_size: int
) -> None:
    batches = eval_batches(of_lengths(lengths), batch_size)
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
