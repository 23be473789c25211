"""The one scorer: entity precision, recall and F1, counted from tags and never from report text.

Headline numbers are micro-averaged and read tags as conlleval and seqeval's default mode do: an
`I-X` without its `B-X` opens an entity. The strict IOB2 reading, the macro and the weighted average
stand beside them under their own names. Every gold entity is counted: a system tags every token,
and what it did not read is `O`, so gold beyond its length limit is missed and not left out.

Sources: Tjong Kim Sang and De Meulder 2003 (conlleval); Nakayama 2018 (seqeval), whose averages
these are. Parts of a corpus are in `train.measures.slices`, seen and unseen mentions in
`train.measures.mentions`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from extract.core.errors import ShapeError
from extract.corpora.mentions import Mention
from extract.tables.samples import Sample
from extract.tables.tags import Span, entity_spans
from train.measures.mentions import mention_recall
from train.measures.slices import tweet_slices


@dataclass(frozen=True)
class Counts:
    """Numbers of entities; they add up over samples, F1 does not."""

    n_correct: int = 0
    n_pred: int = 0
    n_gold: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n_correct + other.n_correct,
            self.n_pred + other.n_pred,
            self.n_gold + other.n_gold,
        )

    @property
    def precision(self) -> float:
        """Percent; 0 when nothing was predicted."""
        return 100.0 * self.n_correct / self.n_pred if self.n_pred else 0.0

    @property
    def recall(self) -> float:
        """Percent; 0 when there is no gold entity."""
        return 100.0 * self.n_correct / self.n_gold if self.n_gold else 0.0

    @property
    def f1(self) -> float:
        """Percent; 0 when nothing is right."""
        total = self.n_pred + self.n_gold
        return 200.0 * self.n_correct / total if total else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Return percentages and counts for metrics.json."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "n_correct": self.n_correct,
            "n_pred": self.n_pred,
            "n_gold": self.n_gold,
        }


def count_spans(gold: Iterable[Span], pred: Iterable[Span]) -> Counts:
    """Count entities of one sentence; right means equal type and equal boundaries."""
    gold, pred = set(gold), set(pred)
    return Counts(len(gold & pred), len(pred), len(gold))


def count_tags(gold: Sequence[str], pred: Sequence[str]) -> Counts:
    """Count the entities of one sentence's gold and predicted BIO tags, headline reading."""
    return count_spans(entity_spans(gold), entity_spans(pred))


def per_tweet_counts(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> np.ndarray:
    """Return (n_correct, n_pred, n_gold) of each sentence. # shape: (N, 3), int64

    Raises:
        ShapeError: another number of sentences, or of tags in a sentence.
    """
    check_lengths(gold, pred)
    rows = [count_tags(g, p) for g, p in zip(gold, pred, strict=True)]
    table = [(row.n_correct, row.n_pred, row.n_gold) for row in rows]
    return np.array(table, dtype=np.int64).reshape(len(table), 3)


def micro_counts(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> Counts:
    """Return the summed counts of a corpus, headline reading."""
    return Counts(*per_tweet_counts(gold, pred).sum(axis=0).tolist())


def check_lengths(gold: Sequence[Sequence[str]], pred: Sequence[Sequence[str]]) -> None:
    """Check that every token has a gold and a predicted tag.

    Raises:
        ShapeError: the numbers differ; nothing is cut to fit.
    """
    if len(gold) != len(pred):
        raise ShapeError(f"{len(gold)} gold sentences but {len(pred)} predicted ones")
    for index, (g, p) in enumerate(zip(gold, pred, strict=True)):
        if len(g) != len(p):
            raise ShapeError(f"sentence {index}: {len(g)} gold tags but {len(p)} predicted ones")


@dataclass(frozen=True)
class Compared:
    """One sample with the entities of its gold and its predicted tags, in both readings."""

    sample: Sample
    gold: frozenset[Span]
    pred: frozenset[Span]
    strict_gold: frozenset[Span]
    strict_pred: frozenset[Span]


def compare(samples: Sequence[Sample], pred: Sequence[Sequence[str]]) -> list[Compared]:
    """Return samples with their entities, read once for all that is counted of them.

    Args:
        samples: with gold tags.
        pred: predicted BIO tags, one list a sample, one tag a token.

    Raises:
        ShapeError: another number of sentences, or of tags in a sentence.
    """
    gold = [sample.tags or [] for sample in samples]
    check_lengths(gold, pred)
    return [
        Compared(
            sample,
            *(frozenset(entity_spans(tags)) for tags in pair),
            *(frozenset(entity_spans(tags, strict=True)) for tags in pair),
        )
        for sample, *pair in zip(samples, gold, pred, strict=True)
    ]


def score(tweets: Sequence[Compared], known: set[Mention] | None = None) -> dict[str, Any]:
    """Score one group of samples.

    Args:
        tweets: of `compare`.
        known: `train.measures.mentions.mentions` of the training split; None leaves seen/unseen
            recall out.

    Returns:
        Percentages and counts, of the types that occur in gold or prediction:
        `precision`, `recall`, `f1`: micro, lenient reading, the headline.
        `n_gold`, `n_pred`, `n_correct`, `n_samples`: what they are counted from.
        `macro_f1`, `weighted_f1`: mean over types of their F1, plain and weighted by gold entities.
        `strict_precision`, `strict_recall`, `strict_f1`, `strict_n_gold`: micro, strict IOB2.
        `per_type`: type -> precision, recall, f1 and counts.
        `handles`, `not_handles`, `seen`, `unseen`: recall and n_gold of those mentions.
    """
    per_type = _per_type(tweets)
    total = sum(per_type.values(), Counts())
    strict = sum((count_spans(t.strict_gold, t.strict_pred) for t in tweets), Counts())
    f1s = [counts.f1 for counts in per_type.values()]
    weighted = sum(counts.f1 * counts.n_gold for counts in per_type.values())
    return {
        **total.as_dict(),
        "macro_f1": sum(f1s) / len(f1s) if f1s else 0.0,
        "weighted_f1": weighted / total.n_gold if total.n_gold else 0.0,
        "strict_precision": strict.precision,
        "strict_recall": strict.recall,
        "strict_f1": strict.f1,
        "strict_n_gold": strict.n_gold,
        "per_type": {name: counts.as_dict() for name, counts in per_type.items()},
        "n_samples": len(tweets),
        **mention_recall(((t.sample, t.gold, t.pred) for t in tweets), known),
    }


def score_slices(
    samples: Sequence[Sample],
    pred: Sequence[Sequence[str]],
    known: set[Mention] | None = None,
    usable_images: Collection[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the scores of all samples and of each slice of them.

    Args:
        samples: with gold tags.
        pred: predicted BIO tags, one list a sample.
        known: see `score`.
        usable_images: ids of the images that can be read; None leaves the image slices out.

    Raises:
        ShapeError: another number of sentences, or of tags in a sentence.
        DataError: see `train.measures.slices.tweet_slices`.
    """
    tweets = compare(samples, pred)
    return {
        name: score([tweets[index] for index in chosen], known)
        for name, chosen in tweet_slices(samples, usable_images).items()
    }


def _per_type(tweets: Iterable[Compared]) -> dict[str, Counts]:
    """Return type -> counts, over the types of gold and prediction, sorted."""
    totals = [Counter(), Counter(), Counter()]
    for tweet in tweets:
        for total, spans in zip(
            totals, (tweet.gold & tweet.pred, tweet.pred, tweet.gold), strict=True
        ):
            total.update(span[0] for span in spans)
    names = sorted(set().union(*totals))
    return {name: Counts(*(total[name] for total in totals)) for name in names}
