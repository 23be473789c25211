"""What the rules propose: each pattern of orphans, and the votes of duplicates."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.core.errors import DataError
from extract.corpora.repairs.apply import apply_repairs
from extract.corpora.repairs.format import REASONS
from extract.corpora.repairs.orphans import repair_orphans
from extract.corpora.statistics import count_orphans
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans
from tests.builders.extract.tagged_tweets import changed, corpus, propose, tweet

ORPHANS = [
    # tweet, tags after, reasons
    ("Why @Amnesty International/I-ORG adopted", "O O B-ORG O", ["orphan_inside"]),
    ("of Dawn/I-MISC of/I-MISC Justice/I-MISC", "O B-MISC I-MISC I-MISC", ["orphan_inside"]),
    ("Detroit/B-LOC Tigers/I-ORG", "B-LOC B-ORG", ["type_switch"]),
    (
        "Pickens/B-ORG High/I-LOC School/I-ORG",
        "B-ORG B-LOC B-ORG",
        ["type_switch", "type_switch"],
    ),
    ("J . Cole/I-PER sings", "B-PER I-PER I-PER O", ["split_abbreviation"]),
    ("by J . K . Rowling/I-PER", "O B-PER I-PER I-PER I-PER I-PER", ["split_abbreviation"]),
    ("Dr . A . King/I-PER", "B-PER I-PER I-PER I-PER I-PER", ["split_abbreviation"]),
    ("Dr . Seuss/I-PER", "B-PER I-PER I-PER", ["split_abbreviation"]),
    ("MRS . Kasiski/I-PER", "B-PER I-PER I-PER", ["split_abbreviation"]),
    ("in St . Louis/I-LOC .", "O B-LOC I-LOC I-LOC O", ["split_abbreviation"]),
    ("St . Xavier/I-ORG High/I-ORG", "B-ORG I-ORG I-ORG I-ORG", ["split_abbreviation"]),
    # An entity of the same type right before goes on, one of another type does not.
    ("George/B-PER W . Bush/I-PER", "B-PER I-PER I-PER I-PER", ["split_abbreviation"]),
    ("Iowa/B-LOC W . Bush/I-PER", "B-LOC B-PER I-PER I-PER", ["split_abbreviation"]),
    (
        "St . Vincent/I-PER St . Mary/I-PER",
        "B-PER I-PER I-PER I-PER I-PER I-PER",
        ["split_abbreviation", "split_abbreviation"],
    ),
    # What ends a sentence, or is no abbreviation of such a name, is left out.
    ("Nah . R . Kelly/I-PER", "O O B-PER I-PER I-PER", ["split_abbreviation"]),
    ("never end . THE/I-MISC", "O O O B-MISC", ["orphan_inside"]),
    ("in DC . District/I-LOC", "O O O B-LOC", ["orphan_inside"]),
    ("Dr . Pepper/I-MISC", "O O B-MISC", ["orphan_inside"]),
    ("dr . strange/I-PER", "O O B-PER", ["orphan_inside"]),
    ("i . e . Rome/I-LOC", "O O O O B-LOC", ["orphan_inside"]),
    (". Cole/I-PER", "O B-PER", ["orphan_inside"]),
    # A labelled abbreviation or dot is nobody's lost half.
    ("Staten/B-LOC St/I-LOC . is/I-LOC", "B-LOC I-LOC O B-LOC", ["orphan_inside"]),
    ("J/B-ORG ./I-ORG Cole/I-PER", "B-ORG I-ORG B-PER", ["type_switch"]),
]


@pytest.mark.parametrize(("text", "tags", "reasons"), ORPHANS, ids=[row[0] for row in ORPHANS])
def test_each_pattern(text: str, tags: str, reasons: list[str]) -> None:
    sample = tweet(text)
    changes = repair_orphans(sample)
    assert changed(sample, changes) == tags
    assert [change.reason for change in changes] == reasons


def test_valid_tags_are_left_alone() -> None:
    assert repair_orphans(tweet("Mr . J/B-PER ./I-PER Cole/I-PER in/O St/B-LOC Louis/I-LOC")) == []


WORDS = st.sampled_from(["J", ".", "Dr", "St", "Nah", "Cole", "a"])
TAGS = st.sampled_from(["O", "O", "B-PER", "I-PER", "I-LOC", "B-LOC"])


@given(st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=12))
def test_any_tags_become_valid_and_only_abbreviations_move_entities(pairs) -> None:
    sample = Sample("train-00000", "1", [w for w, _ in pairs], [t for _, t in pairs])
    repaired = apply_repairs(propose({"train": [sample]}), {"train": [sample]})["train"][0]
    tags = repaired.gold_after_repairs
    assert count_orphans(tags) == 0
    # Nothing labelled is lost or gets another type.
    kept = zip(sample.tags, tags, strict=True)
    assert all(new[1:] == old[1:] for old, new in kept if old != "O")
    assert entity_spans(tags, strict=True) == entity_spans(tags)
    if all(change.reason != "split_abbreviation" for change in repair_orphans(sample)):
        assert entity_spans(tags) == entity_spans(sample.tags)


def gold(splits: dict[str, list[Sample]], **options) -> dict[str, str]:
    """Return sample id -> repaired tags of the tweets that are corrected."""
    found = apply_repairs(propose(splits, **options), splits)
    return {
        s.id: " ".join(s.repaired_tags)
        for samples in found.values()
        for s in samples
        if s.repaired_tags is not None
    }


def test_a_majority_decides_whatever_the_split() -> None:
    splits = corpus(
        train=["RT @a : Amazon/B-MISC is here http://t.co/1", "other words"],
        valid=["RT @b : amazon/B-ORG is here !"],
        test=["RT : Amazon/B-ORG is here http://t.co/2 http://t.co/3"],
    )
    assert gold(splits) == {"train-00000": "O O O B-ORG O O O"}
    repairs = propose(splits)
    assert [(c.reason, c.note) for c in repairs.corrections] == [
        ("conflicting_duplicate", "2 of 3 tweets")
    ]
    assert repairs.header.undecided == ()


def test_train_does_not_overrule_test() -> None:
    splits = corpus(train=["Amazon/B-MISC is here"], test=["x", "Amazon/B-ORG is here"])
    repairs = propose(splits)
    assert repairs.corrections == ()
    (group,) = repairs.header.undecided
    assert group.note == "no majority among 2 tweets"
    assert [(t.split, t.position, t.image_id, t.entities) for t in group.tweets] == [
        ("train", 0, "train_0", (("MISC", 0, 1),)),
        ("test", 1, "test_1", (("ORG", 0, 1),)),
    ]


@pytest.mark.parametrize("types", ["ORG MISC LOC", "ORG ORG MISC MISC", "ORG MISC LOC ORG"])
def test_half_is_no_majority(types: str) -> None:
    splits = corpus(train=[f"Amazon/B-{name} is here" for name in types.split()])
    assert gold(splits) == {}
    assert len(propose(splits).header.undecided) == 1


def test_a_majority_for_no_entity_and_for_other_boundaries() -> None:
    splits = corpus(train=["Tokyo/B-LOC drift now", "Tokyo/B-MISC drift/I-MISC now"])
    splits["train"] += [replace(splits["train"][1], id="train-00002")]
    assert gold(splits) == {"train-00000": "B-MISC I-MISC O"}
    splits = corpus(train=["Booty had me", "Booty/B-PER had me", "Booty had me"])
    assert gold(splits) == {"train-00001": "O O O"}


def test_handles_keep_their_labels_and_do_not_vote() -> None:
    texts = ["@ bob/B-PER at Rome/B-LOC", "@ acme/B-ORG at Rome/B-ORG", "@ ann at Rome/B-LOC"]
    assert gold(corpus(train=texts)) == {"train-00001": "O B-ORG O B-LOC"}
    # Handles alone do not conflict.
    texts = ["@ bob/B-PER at Rome/B-LOC", "@ acme/B-ORG at Rome/B-LOC"]
    assert propose(corpus(train=texts)).header.undecided == ()


def test_words_that_cannot_be_laid_side_by_side() -> None:
    # Of "@ bob's" nothing is a word, of "@ ann s" the last token is.
    splits = corpus(train=["@ bob's Rome/B-LOC", "@ ann s Rome", "@ ann s Rome"])
    assert gold(splits) == {}
    (group,) = propose(splits).header.undecided
    assert group.note == "words differ"
    # Punctuation inside a word is no difference.
    splits = corpus(train=["U.S. Steel/B-ORG opens", "US Steel opens", "US Steel ! opens"])
    assert gold(splits) == {"train-00000": "O O O"}


def test_an_entity_with_a_handle_in_the_way() -> None:
    texts = ["@ bob/B-PER Rome/I-PER x", "@ bob/B-PER Rome/B-LOC x", "@ bob/B-PER Rome/B-LOC x"]
    splits = corpus(train=texts)
    assert gold(splits) == {}
    (group,) = propose(splits).header.undecided
    assert group.note == "an entity with a user handle is in the way"


def test_orphans_and_votes_together() -> None:
    """Prefixes do not vote; where both rules meet, one correction covers both."""
    splits = corpus(
        train=["Mr . Krabs/I-PER in Rome/I-LOC", "Mr . Krabs/B-MISC in Rome/B-LOC"],
        test=["Mr . Krabs/I-PER in Rome/B-LOC"],
    )
    assert gold(splits) == {
        "train-00000": "B-PER I-PER I-PER O B-LOC",
        "train-00001": "B-PER I-PER I-PER O B-LOC",
        "test-00000": "B-PER I-PER I-PER O B-LOC",
    }
    splits = corpus(train=["J . Cole/I-PER x", "J . Cole x", "J . Cole x"])
    (correction,) = propose(splits).corrections
    assert correction.reason == "conflicting_duplicate"
    assert (correction.before, correction.after) == (("O", "O", "I-PER"), ("O", "O", "O"))


def test_kinds() -> None:
    splits = corpus(train=["Old/I-LOC x", "a/B-ORG b", "a/B-LOC b", "a/B-LOC b"])
    reasons = {kinds: Counter() for kinds in [(), ("orphans",), ("duplicates",)]}
    for kinds, found in reasons.items():
        found.update(c.reason for c in propose(splits, kinds=kinds).corrections)
    assert reasons == {
        (): {},
        ("orphans",): {"orphan_inside": 1},
        ("duplicates",): {"conflicting_duplicate": 1},
    }
    assert {r for found in reasons.values() for r in found} <= set(REASONS)


def test_duplicates_without_the_orphans_beside_them_are_refused() -> None:
    splits = corpus(train=["a/B-ORG b/I-LOC", "a b/B-LOC", "a b/B-LOC"])
    with pytest.raises(DataError, match="leaves I-LOC after O"):
        propose(splits, kinds=["duplicates"])
