"""The real corpora against counts that other code made from the same files."""

import re
from pathlib import Path

import pytest

from extract.corpora.prepare import compare_counts
from extract.corpora.readers import twitter2015, twitter2017
from extract.corpora.readers.base import TextSettings
from extract.corpora.statistics import describe_split
from extract.tables.samples import Sample
from tests.builders.extract.twitter_counts import COUNTS, TYPES

READERS = {"twitter2015": twitter2015, "twitter2017": twitter2017}


def read(shared_data: Path, corpus: str, split: str) -> list[Sample]:
    return list(READERS[corpus].iter_samples(shared_data / corpus, split, TextSettings()))


@pytest.mark.parametrize("row", COUNTS, ids=[f"{row[0]}-{row[1]}" for row in COUNTS])
def test_counts_of_the_real_corpora(shared_data: Path, row: tuple) -> None:
    corpus, split, tweets, tokens, entities, by_type, b_tags, orphans, without = row
    samples = read(shared_data, corpus, split)
    counts = describe_split(samples, lambda _: "no_images")
    assert counts["tweets"] == tweets
    assert counts["tokens"] == tokens
    assert counts["entities"] == entities
    assert counts["types"] == dict(zip(TYPES, by_type, strict=True))
    assert counts["b_tags"] == b_tags
    assert counts["orphan_i"] == orphans
    assert round(100 * counts["without_entity"] / tweets, 1) == without
    # Every image id is its own tweet's.
    assert counts["images"] == {"no_images": tweets}
    # So the readers' own table says the same.
    compare_counts({split: counts}, READERS[corpus].EXPECTED, corpus, strict=True)


def test_the_no_break_space_is_a_token(shared_data: Path) -> None:
    path = shared_data / "twitter2015/valid.txt"
    lines = path.read_bytes().decode().split("\n")
    assert lines[9657] == "\u00a0\tO"
    tokens = [token for s in read(shared_data, "twitter2015", "valid") for token in s.tokens]
    assert tokens.count("\u00a0") == 1


@pytest.mark.parametrize("corpus", READERS)
def test_no_image_is_in_two_splits(shared_data: Path, corpus: str) -> None:
    ids = [
        s.image_id for split in ("train", "valid", "test") for s in read(shared_data, corpus, split)
    ]
    assert len(set(ids)) == len(ids)


def test_every_line_of_a_file_is_accounted_for(shared_data: Path) -> None:
    """Tokens and tags, put together again, are the file."""
    text = (shared_data / "twitter2015/test.txt").read_bytes().decode("utf-8")
    written = [
        f"IMGID:{sample.image_id}\n"
        + "".join(
            f"{token}\t{tag}\n" for token, tag in zip(sample.tokens, sample.tags, strict=True)
        )
        for sample in read(shared_data, "twitter2015", "test")
    ]
    expected = re.sub("([BI])-OTHER", r"\1-MISC", text)
    assert "\n".join(written).rstrip("\n").split("\n") == expected.rstrip("\n").split("\n")
