"""The shipped corrections of the real corpora: made again from the texts, byte by byte."""

from pathlib import Path
from typing import Any

import pytest

from extract.corpora.audit.reading import read_corpus
from extract.corpora.readers.base import TextSettings
from extract.corpora.repairs.apply import apply_repairs
from extract.corpora.repairs.effect import describe_effect
from extract.corpora.repairs.format import read_repairs, repairs_file, write_repairs
from extract.corpora.repairs.propose import propose_repairs
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans

CORPORA = ("twitter2015", "twitter2017")


@pytest.fixture(scope="module")
def corpora(shared_data: Path) -> dict[str, Any]:
    return {name: read_corpus(shared_data / name, name, TextSettings()).splits for name in CORPORA}


@pytest.mark.parametrize("name", CORPORA)
def test_the_rules_give_what_is_shipped(corpora, tmp_path: Path, name: str) -> None:
    proposed = propose_repairs(corpora[name], dataset=name, reader=name)
    write_repairs(tmp_path / "again.jsonl", proposed)
    assert (tmp_path / "again.jsonl").read_bytes() == repairs_file(f"{name}_umt").read_bytes()


def test_effect_on_twitter2015(corpora) -> None:
    repairs = read_repairs(repairs_file("twitter2015_umt"))
    effect = describe_effect(repairs, apply_repairs(repairs, corpora["twitter2015"]))
    # corrections by reason, entities before and after (conlleval), B- tags before
    expected = {
        "train": ((71, 104, 11), 6352, 6338, 6166),
        "valid": ((20, 32, 1), 1594, 1590, 1541),
        "test": ((49, 80, 6), 5207, 5197, 5072),
    }
    reasons = ("split_abbreviation", "orphan_inside", "type_switch")
    for split, (corrections, before, after, b_tags) in expected.items():
        found = effect[split]
        assert found["corrections"] == dict(zip(reasons, corrections, strict=True))
        assert found["before"] == {
            "entities": before, "b_tags": b_tags, "orphan_i": sum(corrections),
        }  # fmt: skip
        assert found["after"] == {"entities": after, "b_tags": after, "orphan_i": 0}
    # Of 18 groups of duplicates 9 conflict, each of two tweets.
    assert [len(group.tweets) for group in repairs.header.undecided] == [2] * 9


def test_only_abbreviations_move_entities(corpora) -> None:
    repairs = read_repairs(repairs_file("twitter2015_umt"))
    moved = {c.tweet for c in repairs.corrections if c.reason == "split_abbreviation"}
    for split, samples in apply_repairs(repairs, corpora["twitter2015"]).items():
        for position, sample in enumerate(samples):
            if (split, position) not in moved:
                same = entity_spans(sample.gold_after_repairs)
                assert entity_spans(sample.tags) == same
                assert entity_spans(sample.gold_after_repairs, strict=True) == same


def test_known_tweets(corpora) -> None:
    repairs = read_repairs(repairs_file("twitter2015_umt"))
    found = apply_repairs(repairs, corpora["twitter2015"])
    surfaces = [
        " ".join(sample.tokens[start:end])
        for samples in found.values()
        for sample in samples
        if sample.repaired_tags is not None
        for _, start, end in entity_spans(sample.repaired_tags)
    ]
    assert surfaces.count("Dr . Seuss") == 5
    assert surfaces.count("St . Louis") == 4
    assert {"J . Cole", "J . K . Rowling", "George W . Bush", "Martin St . Louis"} <= set(surfaces)


def text_of(splits: dict[str, list[Sample]]) -> set[str]:
    return {t for samples in splits.values() for s in samples for t in s.tokens if len(t) > 14}


@pytest.mark.parametrize("name", CORPORA)
def test_the_files_hold_no_text(corpora, name: str) -> None:
    content = repairs_file(f"{name}_umt").read_text(encoding="utf-8")
    assert not [token for token in text_of(corpora[name]) if token in content]
