"""Planted faults, the forms of the report, and the limit on overlap."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.__main__ import main
from extract.core.errors import DataError, MissingFileError
from extract.corpora.audit import identity
from extract.corpora.audit.duplicates import find_groups
from extract.corpora.audit.fingerprint import fingerprint, n_different, tweet_digest
from extract.corpora.audit.known_copies import known_copies
from extract.corpora.audit.labels import invalid_transitions, is_invisible
from extract.corpora.audit.overlap import describe_overlaps, find_overlaps, near_key, refuse_overlap
from extract.corpora.audit.reading import read_corpus
from extract.corpora.audit.report import audit
from extract.corpora.audit.sections import make_sections, printable
from extract.corpora.handles import handle_positions
from extract.corpora.mentions import count_seen
from extract.corpora.readers.base import TextSettings
from extract.tables.images_table import ImageRow, write_images
from extract.tables.samples import Sample, write_samples

TRAIN = ["Paris/B-LOC is nice http://t.co/1", "Bob/B-PER Dylan/I-PER sings", "hello @bob"]
VALID = ["nothing to see", "meet Ann/B-PER"]
TEST = ["paris/B-LOC was nice", "@ Ann/B-PER , hello you"]


def sample(text: str, sample_id: str = "x-0", image_id: str = "1") -> Sample:
    """Make a sample of words, each `word` or `word/TAG`."""
    words = [word.rpartition("/") for word in text.split(" ")]
    labelled = [(w, t) if t[:2] in ("B-", "I-") else (f"{w}{s}{t}", "O") for w, s, t in words]
    return Sample(sample_id, image_id, [w for w, _ in labelled], [t for _, t in labelled])


def corpus(**texts: list[str]) -> dict[str, list[Sample]]:
    return {
        split: [sample(t, f"{split}-{i:05d}", f"{split}{i}") for i, t in enumerate(found)]
        for split, found in texts.items()
    }


def write_corpus(folder: Path, splits: dict[str, list[Sample]]) -> Path:
    folder.mkdir(exist_ok=True)
    for split, samples in splits.items():
        tweets = (
            f"IMGID:{s.image_id}\n"
            + "".join(f"{w}\t{t}\n" for w, t in zip(s.tokens, s.tags, strict=True))
            for s in samples
        )
        (folder / f"{split}.txt").write_text("\n".join(tweets), encoding="utf-8")
    return folder


def small(folder: Path, **changed: list[str]) -> Path:
    texts = {"train": TRAIN, "valid": VALID, "test": TEST} | changed
    return write_corpus(folder, corpus(**texts))


def audit_of(folder: Path, **settings: Any) -> dict[str, Any]:
    return audit(read_corpus(folder, "conll_imgid", TextSettings(**settings)))


def severities(report: dict[str, Any], check: str) -> list[str]:
    return [p["severity"] for p in report["problems"] if p["check"] == check]


def test_a_clean_corpus_has_no_error_and_no_warning(tmp_path: Path) -> None:
    report = audit_of(small(tmp_path))
    assert {p["severity"] for p in report["problems"]} == {"note"}
    assert report["counts"]["train"]["entities"] == 2
    assert report["identity"]["verdict"] == "unknown"
    assert report["identity"]["nearest"] is None


def test_odd_labels_and_empty_tweets_are_set_aside_with_their_lines(tmp_path: Path) -> None:
    small(tmp_path)
    text = "IMGID:a\nhi\tB-PERS\r\nyou\tS-LOC\n\nIMGID:empty\n\nIMGID:b\nAnn\tB-PER\n\nIMGID:end"
    (tmp_path / "valid.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    report = audit_of(tmp_path)
    found = [(f["kind"], f["split"], f["where"], f["value"]) for f in report["set_aside"]]
    assert found == [
        ("odd_label", "valid", "valid.txt:2", "B-PERS"),
        ("odd_label", "valid", "valid.txt:3", "S-LOC"),
        ("empty_tweet", "valid", "valid.txt:5", "empty"),
        ("empty_tweet", "valid", "valid.txt:10", "end"),
    ]
    assert report["counts"]["valid"]["tweets"] == 2
    assert report["counts"]["valid"]["types"] == {"PER": 1}
    assert severities(report, "set_aside") == ["error", "error"]
    # The files are as they were.
    assert (tmp_path / "valid.txt").read_bytes().endswith(b"IMGID:end")


def test_settings_decide_which_label_is_odd(tmp_path: Path) -> None:
    small(tmp_path, valid=["meet Ann/B-OTHER and/B-GPE"])
    assert [f["value"] for f in audit_of(tmp_path)["set_aside"]] == ["B-GPE"]
    settings = {"entity_types": ("PER", "LOC", "MISC", "GPE")}
    report = audit_of(tmp_path, **settings)
    assert report["set_aside"] == []
    assert report["counts"]["valid"]["types"] == {"GPE": 1, "MISC": 1}


def test_a_broken_line_stops_with_the_readers_message(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "valid.txt").write_text("IMGID:a\nhi\tB-PERS\nthree columns O\n")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/valid.txt:3: expected 2 columns")):
        audit_of(tmp_path)
    (tmp_path / "valid.txt").write_bytes(b"IMGID:a\nhi\tB-PERS\n\xff\tO\n")
    with pytest.raises(DataError, match=r"valid.txt:3: not UTF-8"):
        audit_of(tmp_path)


def test_a_folder_without_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="neither samples"):
        audit_of(tmp_path)
    with pytest.raises(MissingFileError, match="no such folder"):
        audit_of(tmp_path / "nothing")
    small(tmp_path)
    (tmp_path / "valid.txt").unlink()
    assert audit_of(tmp_path)["corpus"]["absent"] == ["valid"]
    with pytest.raises(MissingFileError, match=r"other\.txt"):
        audit_of(tmp_path, files={"valid": "other.txt"})


def test_invalid_transitions_by_kind() -> None:
    found = invalid_transitions(
        sample("J . Cole/I-PER of Rome/B-LOC Inc/I-ORG sees/I-ORG so/I-LOC")
    )
    assert found == [("after_dot", 2), ("type_switch", 5), ("type_switch", 7)]
    assert invalid_transitions(sample("Ann/I-PER Lee/I-PER . x in/I-LOC")) == [
        ("after_o", 0),
        ("after_o", 4),
    ]


@pytest.mark.parametrize(
    "token", ["\ufe0f", "\u200b", "\u00a0", "\u200d\ufe0f", "\u0092", "\ufffd"]
)
def test_invisible_tokens_are_found(tmp_path: Path, token: str) -> None:
    assert is_invisible(token)
    splits = corpus(train=TRAIN, test=TEST)
    splits["test"][1] = replace(splits["test"][1], tokens=[token, "b"], tags=["B-PER", "O"])
    report = audit_of(write_corpus(tmp_path, splits))
    points = " ".join(f"U+{ord(char):04X}" for char in token)
    assert report["invisible"]["test"] == {
        points: {"tokens": 1, "labelled": 1, "samples": ["test-00001"]}
    }
    assert report["invisible"]["train"] == {}
    assert severities(report, "invisible") == ["note"]


@pytest.mark.parametrize("token", ["a\ufe0f", "é", "e\u0301", ".", "😀", "#️⃣", "한"])
def test_what_can_be_seen_is_not_invisible(token: str) -> None:
    assert not is_invisible(token)


def test_near_key() -> None:
    assert (
        near_key(["RT", "@dave", ":", "Hello", ",", "World", "http://t.co/x"]) == "rt hello world"
    )
    assert near_key(["rt", "@", "bob", "hello", "WORLD", "!"]) == "rt hello world"
    # Nothing is left: the text itself.
    assert near_key(["@bob", "http://t.co/x"]) == "@bob http://t.co/x"
    assert near_key(["!"]) != near_key(["?"])


def test_overlap_is_near_or_exact() -> None:
    splits = corpus(train=["a b http://x", "c d"], valid=["c D !", "e"], test=["A b", "c d", "f"])
    found = {(o.split, o.other): o for o in find_overlaps(splits)}
    assert [(k, len(o.twins), o.n_exact) for k, o in found.items()] == [
        (("test", "train"), 2, 1),
        (("test", "valid"), 1, 0),
        (("valid", "train"), 1, 0),
    ]
    assert found["test", "train"].share == pytest.approx(2 / 3)


def test_a_valid_split_that_is_the_test_split(tmp_path: Path) -> None:
    report = audit_of(small(tmp_path, valid=TEST[::-1]))
    assert [f["equal"] for f in report["overlap"]] == [False, True, False]
    assert report["problems"][0]["severity"] == "error"
    assert "nothing is held out" in report["problems"][0]["message"]


def test_duplicates_with_conflicting_gold() -> None:
    splits = corpus(
        train=["go Amazon/B-ORG !", "so true", "of Ann/B-PER Lee/I-PER"],
        test=["go amazon/B-MISC", "SO true", "of Ann Lee", "@ann/B-PER hi", "@tix/B-ORG hi"],
    )
    groups = find_groups(splits)
    assert [group.conflicts() for group in groups] == [
        {"amazon": {"train-00000": ("ORG",), "test-00000": ("MISC",)}},
        {},
        {"ann lee": {"train-00002": ("PER",), "test-00002": ()}},
        {},
    ]
    assert [group.splits for group in groups] == [("train", "test")] * 3 + [("test",)]
    assert [group.is_exact for group in groups] == [False, False, True, False]


def test_one_of_two_mentions_left_unlabelled_conflicts() -> None:
    splits = corpus(train=["Ann/B-PER and Ann/B-PER", "Ann/B-PER and Ann"])
    (group,) = find_groups(splits)
    assert group.conflicts() == {"ann": {"train-00000": ("PER", "PER"), "train-00001": ("PER",)}}


def test_handles() -> None:
    assert handle_positions(["@bob", "met", "@", "ann", ",", "see", "@"]) == [0, 3]
    assert handle_positions(["@"]) == []


def test_seen_mentions_need_surface_and_type() -> None:
    train = [sample("Paris/B-LOC")]
    texts = ["Paris/B-LOC", "paris/B-LOC", "Paris/B-PER", "Rome/B-LOC"]
    found = count_seen([sample(text) for text in texts], train)
    assert found == {"entities": 4, "seen": 2, "seen_same_case": 1}


def test_the_fingerprint_holds_tokens_labels_and_order_only() -> None:
    a, b = sample("Paris/B-LOC x"), sample("y")
    assert fingerprint([a, b]) != fingerprint([b, a])
    assert fingerprint([a]) == fingerprint([replace(a, id="other", image_id="2")])
    assert fingerprint([a]) != fingerprint([replace(a, tags=["B-PER", "O"])])
    assert fingerprint([a]) != fingerprint([replace(a, tokens=["Paris x", ""])])
    assert tweet_digest(a)[:8] == tweet_digest(replace(a, tags=None))[:8]
    assert n_different(["a", "b", "b"], ["b", "c"]) == 2
    assert n_different([], ["b"]) == 1


def test_copies_without_text_are_known_by_their_counts() -> None:
    for copy in known_copies():
        if copy.digests:
            continue
        counts = {split: dict(entry) for split, entry in copy.splits.items()}
        found = identity.identify({split: [sample("so")] for split in counts}, counts)
        assert (found["verdict"], found["copy"]) == ("counts", copy.name)
        assert found["rests_on"].startswith("counts only (tweets")
        # One count off, or a split not there: unknown.
        counts["test"]["tweets"] += 1
        assert identity.identify({"test": [sample("so")]}, counts)["verdict"] == "unknown"
        del counts["test"]
        assert identity.identify({"train": [sample("so")]}, counts)["verdict"] == "unknown"


def test_the_table_of_copies_is_whole() -> None:
    copies = {copy.name: copy for copy in known_copies()}
    assert list(copies) == [
        "umt_twitter2015", "umt_twitter2017", "acn_twitter2015", "pgim_twitter2015",
        "rpbert_twitter2017",
    ]  # fmt: skip
    for copy in copies.values():
        for split, digests in copy.digests.items():
            assert len(digests) == copy.splits[split]["tweets"]
            assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in digests)
            assert re.fullmatch("[0-9a-f]{64}", copy.splits[split]["sha256"])


def prepared(folder: Path) -> Path:
    """Write a prepared dataset with a missing, a shared and an equal image."""
    splits = corpus(train=TRAIN, test=TEST)
    splits["test"][1] = replace(splits["test"][1], image_id="train0", tags=["B-PERS"] + ["O"] * 4)
    for split, samples in splits.items():
        write_samples(folder / "samples" / f"{split}.jsonl", samples)
    rows = [ImageRow(f"train{i}", f"{i}.jpg", f"{i}" * 64, 2, 2, "ok") for i in range(2)]
    rows.append(ImageRow("train2", "", "", 0, 0, "missing", "no file <b>"))
    rows.append(ImageRow("test0", "t.jpg", "1" * 64, 2, 2, "ok"))
    write_images(folder / "images.tsv", rows)
    return folder


def test_a_prepared_dataset_with_its_images(tmp_path: Path) -> None:
    report = audit_of(prepared(tmp_path))
    assert report["corpus"]["kind"] == "prepared dataset"
    assert report["corpus"]["splits"] == ["train", "test"]
    assert report["set_aside"] == [
        {"kind": "odd_label", "split": "test", "where": "test-00001", "value": "B-PERS"}
    ]
    images = report["images"]
    assert images["shared_ids"] == {"train0": ["train", "test"]}
    assert images["shared_files"] == {"1" * 64: {"train": ["train1"], "test": ["test0"]}}
    assert images["status"] == {"train": {"ok": 2, "missing": 1}, "test": {"ok": 2}}
    assert images["bad"]["train"] == {"train2": "missing: no file <b>"}
    assert images["not_listed"] == []
    assert severities(report, "images") == ["warning"] * 3


def test_an_empty_sample_of_a_prepared_dataset(tmp_path: Path) -> None:
    samples = [Sample("test-0", "1", [], []), sample("so", "test-1")]
    write_samples(tmp_path / "samples" / "test.jsonl", samples)
    report = audit_of(tmp_path)
    assert [(f["kind"], f["where"]) for f in report["set_aside"]] == [("empty_tweet", "test-0")]
    assert report["counts"]["test"]["tweets"] == 1


def test_a_prepared_dataset_is_the_same_corpus(tmp_path: Path) -> None:
    files = audit_of(small(tmp_path / "files"))
    for split, samples in corpus(train=TRAIN, valid=VALID, test=TEST).items():
        write_samples(tmp_path / "samples" / f"{split}.jsonl", samples)
    found = audit_of(tmp_path)
    assert {key for key in files if files[key] != found[key]} == {"corpus"}


def test_text_without_labels(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples/predict.jsonl", [Sample("p-0", "1", ["hi", "@bob"])])
    report = audit_of(tmp_path)
    assert "entities" not in report["counts"]["predict"]
    assert report["mentions"] == {} and report["overlap"] == []
    assert main(["audit", str(tmp_path), "--fail-on-overlap", "0"]) == 0


def test_json_is_the_documented_structure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(small(tmp_path)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["version"]) == ("mner-audit", 1)
    from extract.corpora.audit import report

    documented = re.findall(r"^- `(\w+)`", report.__doc__, flags=re.MULTILINE)
    assert {*documented, "version"} == set(found)
    assert found == json.loads(json.dumps(audit_of(tmp_path)))


def test_the_printed_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small(
        tmp_path, valid=TEST, train=[*TRAIN, "one \x1b[31mred\u200b/B-PER", "one \x1b[31mred\u200b"]
    )
    assert main(["audit", str(tmp_path), "--limit", "1"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\u200b" not in shown
    assert r"\u001b[31mred\u200b" in shown
    for title in ("Problems", "Known copy", "Counts", "Overlap of splits", "Seen mentions"):
        assert title in shown.splitlines()
    assert "and 1 more rows (--limit 0 or --json shows all)" in shown
    # Never cut: what is wrong.
    report = audit_of(tmp_path)
    assert len(report["problems"]) > 1
    assert all(problem["severity"] in shown for problem in report["problems"])
    assert main(["audit", str(tmp_path), "--limit", "0"]) == 0
    assert "more rows" not in capsys.readouterr().out


def test_printable() -> None:
    assert printable("a b\té\u00a0\U000e0001") == r"a b\u0009é\u00a0\U000e0001"


def test_the_page_is_escaped(tmp_path: Path) -> None:
    small(
        tmp_path / "c", train=["<script>alert(1)</script>/B-PER ok", "<SCRIPT>alert(1)</script> ok"]
    )
    page = tmp_path / "audit.html"
    assert main(["audit", str(tmp_path / "c"), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text.lower()
    assert html.escape("<script>alert(1)</script>") in text
    assert text.count("<h2>") == len(make_sections(audit_of(tmp_path / "c")))
    assert "http:" not in text and "https:" not in text


def test_an_overlap_above_the_share_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(tmp_path, train=[*TRAIN, "PARIS was nice !"])
    command = ["audit", str(tmp_path), "--json", "--fail-on-overlap"]
    assert main([*command, "0.5"]) == 0
    capsys.readouterr()
    assert main([*command, "0.49"]) == 2
    shown = capsys.readouterr()
    # The report is there all the same.
    assert json.loads(shown.out)["overlap"][0]["twins"] == {"test-00000": ["train-00003"]}
    assert "1 of 2 tweets of test (50.00%) stand in train" in shown.err
    assert "test-00000: train-00003" in shown.err
    assert main(["audit", str(tmp_path), "--fail-on-overlap", "2"]) == 2


def test_equal_splits_are_refused_whatever_the_share() -> None:
    splits = corpus(train=TRAIN, valid=TEST, test=TEST)
    with pytest.raises(DataError, match=r"2 of 2 tweets of test \(100.00%\) stand in valid"):
        refuse_overlap(describe_overlaps(splits), 1.0)
    refuse_overlap(describe_overlaps(corpus(train=TRAIN, valid=VALID, test=TEST)), 0.0)


def test_the_refusal_lists_ten_tweets_and_says_where_the_others_are() -> None:
    texts = [f"tweet number {index}" for index in range(13)]
    found = describe_overlaps(corpus(train=texts, test=texts[:12]))
    with pytest.raises(DataError) as caught:
        refuse_overlap(found, 0.02, listed_in="results/x/audit.json")
    message = str(caught.value)
    assert "12 of 12 tweets of test (100.00%) stand in train" in message
    assert "at most 2.00% is allowed" in message and "test-00009: train-00009" in message
    assert "test-00010" not in message and "  and 2 more" in message
    assert message.endswith("The whole list: results/x/audit.json.")
