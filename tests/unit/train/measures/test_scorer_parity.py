"""The scorer against seqeval and against conlleval's rules, on thousands of random tag sequences.

The sequences hold everything a tagger can emit: orphan `I-`, switches of type inside an entity,
neighbours without a gap, predictions that are partly right.
"""

import random
import warnings
from collections import Counter

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from extract.tables.samples import Sample
from train.measures.metrics import Counts, count_tags, micro_counts, per_tweet_counts, score_slices

TYPES = ("PER", "LOC", "ORG")
N_SENTENCES = 1000


def random_tags(rng: random.Random, length: int) -> list[str]:
    """Return tags of which any may follow any; half of the steps go on as the one before."""
    tags: list[str] = []
    for _ in range(length):
        if tags and tags[-1] != "O" and rng.random() < 0.5:
            tags.append(f"I-{tags[-1][2:]}")
        else:
            tags.append(
                rng.choice(["O", *(f"{prefix}-{name}" for prefix in "BI" for name in TYPES)])
            )
    return tags


def random_corpus(seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return gold and predictions that are right, near, or unrelated, a third each."""
    rng = random.Random(seed)
    gold = [random_tags(rng, rng.randint(1, 12)) for _ in range(N_SENTENCES)]
    pred = []
    for tags in gold:
        other = random_tags(rng, len(tags))
        near = [o if rng.random() < 0.2 else t for t, o in zip(tags, other, strict=True)]
        pred.append(rng.choice([list(tags), near, other]))
    return gold, pred


def scores_of(gold: list[list[str]], pred: list[list[str]]) -> dict:
    samples = [Sample(str(i), "x", ["w"] * len(tags), tags) for i, tags in enumerate(gold)]
    return score_slices(samples, pred)["all"]


def test_the_corpus_has_what_goes_wrong() -> None:
    gold, _ = random_corpus(0)
    pairs = Counter((a, b) for tags in gold for a, b in zip(["O", *tags], tags, strict=False))
    assert pairs["O", "I-PER"] > 50 and pairs["B-PER", "I-LOC"] > 20
    assert pairs["I-PER", "I-LOC"] > 20 and pairs["I-PER", "B-PER"] > 20


@pytest.mark.parametrize("seed", range(4))
def test_every_average_is_that_of_seqevals_default_mode(seed: int) -> None:
    gold, pred = random_corpus(seed)
    ours = scores_of(gold, pred)
    assert 20 < ours["f1"] < 80
    assert ours["precision"] == pytest.approx(100 * precision_score(gold, pred), abs=1e-9)
    assert ours["recall"] == pytest.approx(100 * recall_score(gold, pred), abs=1e-9)
    for name, average in (("f1", "micro"), ("macro_f1", "macro"), ("weighted_f1", "weighted")):
        assert ours[name] == pytest.approx(100 * f1_score(gold, pred, average=average), abs=1e-9)
    theirs = f1_score(gold, pred, average=None)
    assert [ours["per_type"][name]["f1"] for name in sorted(TYPES)] == pytest.approx(100 * theirs)


@pytest.mark.parametrize("seed", range(4))
def test_the_strict_reading_is_that_of_seqevals_strict_iob2(seed: int) -> None:
    gold, pred = random_corpus(seed)
    ours, strict = scores_of(gold, pred), {"mode": "strict", "scheme": IOB2}
    assert ours["strict_n_gold"] < ours["n_gold"] - 100
    for name, theirs in (
        ("strict_precision", precision_score),
        ("strict_recall", recall_score),
        ("strict_f1", f1_score),
    ):
        assert ours[name] == pytest.approx(100 * theirs(gold, pred, **strict), abs=1e-9)


def test_averages_over_types_that_one_side_alone_has() -> None:
    gold = [["B-PER", "O", "B-LOC"], ["B-LOC", "I-LOC"]]
    pred = [["B-PER", "O", "B-ORG"], ["B-LOC", "I-LOC"]]
    ours = scores_of(gold, pred)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ORG has no gold entity
        for name, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
            assert ours[name] == pytest.approx(100 * f1_score(gold, pred, average=average))
    # ORG has F1 0 and counts for the macro average, not for the weighted one.
    assert ours["macro_f1"] == pytest.approx((100 + 200 / 3 + 0) / 3)
    assert ours["weighted_f1"] == pytest.approx((1 * 100 + 2 * 200 / 3) / 3)


def parts(tag: str) -> tuple[str, str]:
    prefix, _, name = tag.partition("-")
    return prefix, name


def starts(previous: str, tag: str) -> bool:
    """A chunk starts at a B, at an I after O, and at a change of type."""
    (before, type_before), (prefix, name) = parts(previous), parts(tag)
    return prefix == "B" or (prefix == "I" and (before == "O" or type_before != name))


def ends(previous: str, tag: str) -> bool:
    """A chunk ends before a B, before O, and before a change of type."""
    (before, type_before), (prefix, name) = parts(previous), parts(tag)
    return before != "O" and (prefix in ("B", "O") or type_before != name)


def conlleval_counts(gold: list[str], pred: list[str]) -> Counts:
    """Count chunks in one pass over the tokens, as conlleval does; the end closes open ones."""
    correct = found = expected = 0
    is_right = False  # both sides opened the open chunk together, with one type
    last_gold = last_pred = "O"
    for g, p in zip([*gold, "O"], [*pred, "O"], strict=True):
        gold_ends, pred_ends = ends(last_gold, g), ends(last_pred, p)
        if is_right and gold_ends and pred_ends:
            correct += 1
        if gold_ends or pred_ends:
            is_right = False
        gold_starts, pred_starts = starts(last_gold, g), starts(last_pred, p)
        expected, found = expected + gold_starts, found + pred_starts
        if gold_starts and pred_starts and parts(g)[1] == parts(p)[1]:
            is_right = True
        last_gold, last_pred = g, p
    return Counts(correct, found, expected)


@pytest.mark.parametrize("seed", range(10, 14))
def test_counts_are_those_of_conllevals_rules(seed: int) -> None:
    gold, pred = random_corpus(seed)
    for g, p in zip(gold, pred, strict=True):
        assert count_tags(g, p) == conlleval_counts(g, p), (g, p)
    total = sum((conlleval_counts(g, p) for g, p in zip(gold, pred, strict=True)), Counts())
    assert micro_counts(gold, pred) == total
    assert per_tweet_counts(gold, pred).sum(axis=0).tolist() == [
        *(total.n_correct, total.n_pred, total.n_gold),
    ]
