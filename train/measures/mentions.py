"""Mentions: gold entities by what training has shown of them, and by whether they are handles.

A mention is the surface (tokens joined by a space) and the type of an entity. It is seen when the
training split holds an entity of the same surface, whatever its case, and the same type. Case is
folded because the field's figures are (of the test mentions of Twitter-2015 33.3 % are seen, of
Twitter-2017 53.6 %), and because a tweet's case says little.
"""

from collections.abc import Collection, Iterable

from extract.corpora.handles import handle_positions
from extract.corpora.mentions import Mention, mention_of, mentions_of
from extract.tables.samples import Sample
from extract.tables.tags import Span

MENTION_KINDS = ("handles", "not_handles", "seen", "unseen")


def mentions(samples: Iterable[Sample]) -> set[Mention]:
    """Return the mentions of all gold entities, surface in lower case."""
    return {mention for sample in samples for mention in mentions_of(sample, fold_case=True)}


def mention_recall(
    tweets: Iterable[tuple[Sample, Collection[Span], Collection[Span]]],
    known: Collection[Mention] | None,
) -> dict[str, dict[str, float | int]]:
    """Return the recall of each kind of gold entity.

    Args:
        tweets: sample, gold entities, predicted entities.
        known: mentions of the training split; None leaves `seen` and `unseen` out.

    Returns:
        Kind of `MENTION_KINDS` -> `recall` (percent, 0 without gold) and `n_gold`. `handles` are
        the entities with a user handle. A prediction cannot be split so, hence no precision.
    """
    kinds = MENTION_KINDS if known is not None else MENTION_KINDS[:2]
    n_gold, n_found = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for sample, gold, pred in tweets:
        handles = handle_positions(sample.tokens)
        for span in gold:
            has_handle = any(span[1] <= position < span[2] for position in handles)
            mine = ["handles" if has_handle else "not_handles"]
            if known is not None:
                mention = mention_of(sample, span, fold_case=True)
                mine.append("seen" if mention in known else "unseen")
            for kind in mine:
                n_gold[kind] += 1
                n_found[kind] += span in pred
    return {
        kind: {
            "recall": 100.0 * n_found[kind] / n_gold[kind] if n_gold[kind] else 0.0,
            "n_gold": n_gold[kind],
        }
        for kind in kinds
    }
