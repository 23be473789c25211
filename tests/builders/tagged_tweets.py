"""Tagged tweets of chosen lengths, each with one entity."""

from collections.abc import Sequence

from extract.manifest import Sample

NAMES = (("PER", "anna"), ("LOC", "rome"), ("PER", "bob"), ("LOC", "oslo"))


def tagged_tweets(split: str, lengths: Sequence[int]) -> list[Sample]:
    """Return one tweet of each length, at least 1; no two of them have the same id."""
    tweets = []
    for index, length in enumerate(lengths):
        entity_type, name = NAMES[index % len(NAMES)]
        tokens = [name, *(f"w{(index + place) % 7}" for place in range(1, length))]
        tags = [f"B-{entity_type}", *["O"] * (length - 1)]
        tweets.append(Sample(f"{split}{index}", f"{split}_{index}.jpg", tokens, tags))
    return tweets
