"""overlap.json: from the audit of split files to the prepared samples, and audits that are none."""

import json
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.corpora.audit.fingerprint import fingerprint
from extract.corpora.audit.overlap import COMPARED
from extract.corpora.audit.overlap_file import read_overlap
from extract.tables.samples import SPLITS, read_samples

TEXT = json.dumps({"type_map": {"OTHER": "MISC"}})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write split files with what readers make alike: BOM, line ends, blank lines, a type map."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in SPLITS:
        lines = [
            f"IMGID:{split}1",
            f"{split}\tB-OTHER",
            "\u00a0\tI-OTHER",
            "",
            "",
            f"IMGID:{split}2",
            "Zo\u00eb B-PER",
        ]
        (folder / f"{split}.txt").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return folder


@pytest.fixture
def audit(corpus: Path, capsys: pytest.CaptureFixture) -> Path:
    assert main(["audit", str(corpus), "--text", TEXT, "--json"]) == 0
    path = corpus.parent / "audit.json"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def check(audit: Path, share: float) -> int:
    out = audit.parent / "overlap.json"
    return main(
        ["check-overlap", "--audit", str(audit), "--max-overlap", str(share), "--out", str(out)]
    )


def test_prepared_samples_have_the_fingerprints_of_the_split_files(corpus, audit) -> None:
    command = ["dataset", "--reader", "conll_imgid", "--root", corpus, "--text", TEXT]
    assert main([*map(str, command), "--out", str(corpus.parent / "made")]) == 0
    # Both second tweets are "Zoë": half of each split stands in the others.
    assert check(audit, 0.5) == 0
    found, max_share = read_overlap(corpus.parent / "overlap.json")
    assert max_share == 0.5
    assert found.fingerprints == {
        split: fingerprint(read_samples(corpus.parent / "made" / "samples" / f"{split}.jsonl"))
        for split in SPLITS
    }
    assert [(pair["split"], pair["other"]) for pair in found.pairs] == list(COMPARED)
    assert [pair["share"] for pair in found.pairs] == [0.5] * 3
    assert not any("twins" in pair for pair in found.pairs)


def test_a_refused_corpus_leaves_no_file(audit: Path, capsys) -> None:
    assert check(audit, 0.4) == 2
    assert "  test-00001: train-00001" in capsys.readouterr().err
    assert not (audit.parent / "overlap.json").exists()


@pytest.mark.parametrize("key", ["split", "other", "of", "tweets", "share", "equal", "twins"])
def test_a_pair_without_a_key_is_a_users_error(audit: Path, capsys, key: str) -> None:
    report = json.loads(audit.read_text(encoding="utf-8"))
    del report["overlap"][1][key]
    audit.write_text(json.dumps(report), encoding="utf-8")
    assert check(audit, 1.0) == 2
    error = capsys.readouterr().err
    assert f"audit.json: overlap[1].{key}: expected" in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "fingerprints: expected one for each split"),
        ('{"identity": []}', "fingerprints: expected one for each split"),
        ("[1]", "expected an object, got [1]"),
        ("", "not JSON"),
    ],
)
def test_a_file_that_is_no_audit_is_a_users_error(audit: Path, capsys, content, message) -> None:
    audit.write_text(content, encoding="utf-8")
    assert check(audit, 1.0) == 2
    error = capsys.readouterr().err
    assert message in error and "extract audit DIR --json" in error and "Traceback" not in error
