"""How a corpus treats user handles and URLs: policies that differ between corpora.

A handle is a token `@name`, or the token after a token `@` (Twitter-2017 splits them); an `@` that
nothing follows is none. It counts as labelled when its token is part of an entity.
"""

from collections.abc import Sequence
from typing import Any

from extract.tables.samples import Sample
from extract.tables.tags import entity_spans


def handle_positions(tokens: Sequence[str]) -> list[int]:
    """Return the positions of the tokens that name a user."""
    return [
        position
        for position, token in enumerate(tokens)
        if (token.startswith("@") and token != "@") or (position and tokens[position - 1] == "@")
    ]


def is_url(token: str) -> bool:
    """True for a token that begins as a web address does."""
    return token.lower().startswith("http")


def count_handles(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the handle and URL counts of a split.

    Returns:
        `handles`, `handles_labelled`, `entities`, `entities_with_handle`, `tweets`,
        `tweets_with_url`.
    """
    handles = labelled = entities = with_handle = 0
    for sample in samples:
        positions = set(handle_positions(sample.tokens))
        tags = sample.tags or ["O"] * len(sample.tokens)
        handles += len(positions)
        labelled += sum(tags[position] != "O" for position in positions)
        for _, start, end in entity_spans(tags):
            entities += 1
            with_handle += not positions.isdisjoint(range(start, end))
    return {
        "handles": handles,
        "handles_labelled": labelled,
        "entities": entities,
        "entities_with_handle": with_handle,
        "tweets": len(samples),
        "tweets_with_url": sum(any(map(is_url, sample.tokens)) for sample in samples),
    }
