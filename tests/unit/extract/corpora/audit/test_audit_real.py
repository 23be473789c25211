"""The audit of the real corpora against counts that other code made from the same files."""

import json
from pathlib import Path
from typing import Any

import pytest

from extract.corpora.audit.fingerprint import fingerprint, tweet_digest
from extract.corpora.audit.known_copies import known_copies
from extract.corpora.audit.labels import count_split
from extract.corpora.audit.reading import read_corpus
from extract.corpora.audit.report import audit
from extract.corpora.readers.base import TextSettings
from tests.builders.extract.twitter_counts import COUNTS, TYPES

CORPORA = ("twitter2015", "twitter2017")


@pytest.fixture(scope="module")
def reports(shared_data: Path) -> dict[str, dict[str, Any]]:
    return {
        name: audit(read_corpus(shared_data / name, "conll_imgid", TextSettings()))
        for name in CORPORA
    }


@pytest.mark.parametrize("row", COUNTS, ids=[f"{row[0]}-{row[1]}" for row in COUNTS])
def test_counts(reports: dict[str, dict[str, Any]], row: tuple) -> None:
    corpus, split, tweets, tokens, entities, by_type, b_tags, orphans, without = row
    counts = reports[corpus]["counts"][split]
    assert (counts["tweets"], counts["tokens"], counts["entities"]) == (tweets, tokens, entities)
    assert counts["types"] == dict(zip(TYPES, by_type, strict=True))
    assert counts["b_tags"] == b_tags == sum(counts["b_tags_by_type"].values())
    assert counts["orphan_i"] == orphans
    assert counts["invalid"]["after_o"] + counts["invalid"]["type_switch"] == orphans
    assert round(100 * counts["without_entity"] / tweets, 1) == without


def test_kinds_of_invalid_transitions(reports: dict[str, dict[str, Any]]) -> None:
    invalid = [counts["invalid"] for counts in reports["twitter2015"]["counts"].values()]
    assert sum(kinds["after_o"] + kinds["type_switch"] for kinds in invalid) == 374
    assert sum(kinds["after_dot"] for kinds in invalid) == 147
    assert sum(kinds["type_switch"] for kinds in invalid) == 18


def test_invisible_tokens(reports: dict[str, dict[str, Any]]) -> None:
    assert reports["twitter2015"]["invisible"]["train"] == {}
    assert reports["twitter2015"]["invisible"]["test"] == {}
    found = reports["twitter2015"]["invisible"]["valid"]
    assert [(points, entry["tokens"]) for points, entry in found.items()] == [("U+00A0", 1)]
    # As many as words without a word piece of bert-base-uncased.
    found = reports["twitter2017"]["invisible"]
    tokens = {
        split: sum(e["tokens"] for e in of_split.values()) for split, of_split in found.items()
    }
    assert sum(tokens.values()) == 158
    assert tokens["test"] == 26
    selectors = [of_split["U+FE0F"] for of_split in found.values()]
    assert sum(entry["tokens"] for entry in selectors) == 142
    assert sum(entry["labelled"] for entry in selectors) == 0


@pytest.mark.parametrize(
    ("corpus", "near", "exact"),
    [("twitter2015", [6, 4, 4], [4, 3, 2]), ("twitter2017", [4, 1, 2], [0, 0, 1])],
)
def test_overlap(
    reports: dict[str, dict[str, Any]], corpus: str, near: list[int], exact: list[int]
) -> None:
    found = reports[corpus]["overlap"]
    pairs = [(entry["split"], entry["other"]) for entry in found]
    assert pairs == [("test", "train"), ("test", "valid"), ("valid", "train")]
    assert [entry["tweets"] for entry in found] == near == [len(entry["twins"]) for entry in found]
    assert [entry["exact"] for entry in found] == exact
    assert not any(entry["equal"] for entry in found)


def test_duplicates_with_conflicting_gold(reports: dict[str, dict[str, Any]]) -> None:
    found = reports["twitter2015"]["duplicates"]
    assert (found["groups"], found["conflicting"]) == (18, 9)
    conflicts = {}
    for group in found["list"]:
        for surface, types in group["conflicts"].items():
            conflicts[surface] = sorted(types.values())
    assert conflicts["amazon"] == [["MISC"], ["ORG"]]
    assert conflicts["anthony rizzo"] == [[], ["PER"]]


def test_seen_mentions(reports: dict[str, dict[str, Any]]) -> None:
    shares = {}
    for corpus, report in reports.items():
        assert list(report["mentions"]) == ["valid", "test"]
        counts = report["mentions"]["test"]
        shares[corpus] = round(100 * counts["seen"] / counts["entities"], 1)
        assert counts["seen_same_case"] <= counts["seen"]
    assert shares == {"twitter2015": 33.3, "twitter2017": 53.6}


def test_handles_and_urls(reports: dict[str, dict[str, Any]]) -> None:
    totals = {
        corpus: tuple(
            sum(counts[key] for counts in report["handles"].values())
            for key in ("handles_labelled", "handles")
        )
        for corpus, report in reports.items()
    }
    assert totals == {"twitter2015": (13, 6932), "twitter2017": (897, 1017)}
    counts = reports["twitter2017"]["handles"]["test"]
    assert (counts["entities_with_handle"], counts["entities"]) == (138, 1351)
    counts = reports["twitter2015"]["handles"]["test"]
    assert (counts["tweets_with_url"], counts["tweets"]) == (3247, 3257)
    assert not any(c["tweets_with_url"] for c in reports["twitter2017"]["handles"].values())


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_copy_is_known(reports: dict[str, dict[str, Any]], corpus: str) -> None:
    identity = reports[corpus]["identity"]
    assert (identity["verdict"], identity["copy"]) == ("known", f"umt_{corpus}")
    assert identity["rests_on"] == "fingerprint of train, valid, test"
    assert all(found["differ"] == 0 for found in identity["splits"].values())
    assert reports[corpus]["images"] == {"shared_ids": {}}
    assert reports[corpus]["set_aside"] == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_tables_are_those_of_the_text(shared_data: Path, corpus: str) -> None:
    splits = read_corpus(shared_data / corpus, "conll_imgid", TextSettings()).splits
    known = next(copy for copy in known_copies() if copy.name == f"umt_{corpus}")
    assert known.digests == {s: tuple(map(tweet_digest, tweets)) for s, tweets in splits.items()}
    assert known.splits.keys() == splits.keys()
    for split, tweets in splits.items():
        counts = count_split(tweets)
        names = ("tweets", "tokens", "entities", "b_tags_by_type")
        expected = {name: counts[name] for name in names} | {"sha256": fingerprint(tweets)}
        assert known.splits[split] == expected


def read_changed(shared_data: Path, folder: Path, corpus: str, **texts: Any) -> dict[str, Any]:
    """Audit a corpus with changed split files: split -> function from its tweets to tweets."""
    for split in ("train", "valid", "test"):
        tweets = (shared_data / corpus / f"{split}.txt").read_text(encoding="utf-8")
        tweets = tweets.strip("\n").split("\n\n")
        tweets = texts[split](tweets) if split in texts else tweets
        (folder / f"{split}.txt").write_text("\n\n".join(tweets) + "\n", encoding="utf-8")
    return audit(read_corpus(folder, "conll_imgid", TextSettings()))


def without_last(tweets: list[str]) -> list[str]:
    return tweets[:-1]


def test_last_tweets_that_are_lost(shared_data: Path, tmp_path: Path) -> None:
    report = read_changed(
        shared_data, tmp_path, "twitter2015",
        train=without_last, valid=without_last, test=without_last,
    )  # fmt: skip
    identity = report["identity"]
    assert (identity["verdict"], identity["copy"]) == ("truncated", "pgim_twitter2015")
    assert identity["nearest"] == "umt_twitter2015"
    assert [c["is"] for c in identity["splits"].values()] == ["without the last tweet"] * 3
    assert [c["differ"] for c in identity["splits"].values()] == [1, 1, 1]
    assert "digests" in identity["rests_on"] and "pgim" in identity["rests_on"]
    assert any(p["check"] == "identity" for p in report["problems"])


def test_one_lost_tweet_is_no_pgim_archive(shared_data: Path, tmp_path: Path) -> None:
    identity = read_changed(shared_data, tmp_path, "twitter2015", test=without_last)["identity"]
    assert (identity["verdict"], identity["copy"]) == ("truncated", "umt_twitter2015")
    assert identity["splits"]["train"]["is"] == "identical"
    assert identity["splits"]["test"]["is"] == "without the last tweet"


def test_another_lost_tweet_is_no_cut_end(shared_data: Path, tmp_path: Path) -> None:
    identity = read_changed(shared_data, tmp_path, "twitter2017", test=lambda t: t[1:])["identity"]
    assert identity["verdict"] == "unknown"
    found = identity["splits"]["test"]
    assert (found["is"], found["differ"], found["not_in_known"]) == ("different", 1, 0)


def test_a_swapped_label(shared_data: Path, tmp_path: Path) -> None:
    def swap(tweets: list[str]) -> list[str]:
        place = next(i for i, tweet in enumerate(tweets) if "\tB-PER" in tweet)
        tweets[place] = tweets[place].replace("\tB-PER", "\tB-LOC", 1)
        return tweets

    identity = read_changed(shared_data, tmp_path, "twitter2017", valid=swap)["identity"]
    assert (identity["verdict"], identity["copy"]) == ("unknown", None)
    assert identity["nearest"] == "umt_twitter2017"
    assert [c["is"] for c in identity["splits"].values()] == ["identical", "different", "identical"]
    found = identity["splits"]["valid"]
    assert (found["differ"], found["differ_in_labels_only"], found["not_in_known"]) == (1, 1, 1)


def test_a_changed_word_and_another_order(shared_data: Path, tmp_path: Path) -> None:
    def change(tweets: list[str]) -> list[str]:
        return [tweets[0] + "\nreally\tO", *tweets[1:]]

    report = read_changed(
        shared_data, tmp_path, "twitter2017", test=lambda tweets: tweets[::-1], valid=change
    )
    found = report["identity"]["splits"]
    assert (found["valid"]["differ"], found["valid"]["differ_in_labels_only"]) == (1, 0)
    assert (found["test"]["differ"], found["test"]["same_order"]) == (0, False)
    assert report["identity"]["verdict"] == "unknown"


def test_the_valid_split_is_the_test_split(shared_data: Path, tmp_path: Path) -> None:
    tests = (shared_data / "twitter2017/test.txt").read_text(encoding="utf-8")
    report = read_changed(
        shared_data, tmp_path, "twitter2017",
        valid=lambda tweets: tests.strip("\n").split("\n\n"),
    )  # fmt: skip
    identity = report["identity"]
    assert (identity["verdict"], identity["copy"]) == ("replaced", "umt_twitter2017")
    assert "valid is its test" in identity["rests_on"]
    equal = [(f["split"], f["other"]) for f in report["overlap"] if f["equal"]]
    assert equal == [("test", "valid")]
    assert report["problems"][0]["severity"] == "error"
    # The files share their images too.
    assert len(report["images"]["shared_ids"]) == 723


def test_the_report_is_json(reports: dict[str, dict[str, Any]]) -> None:
    for report in reports.values():
        assert json.loads(json.dumps(report)) == report
