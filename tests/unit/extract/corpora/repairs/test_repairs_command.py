"""`repairs propose`, `check`, `show` and `dataset --repairs`: from raw text to samples."""

import json
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.tables.samples import read_samples

TINY = Path("tests/data/tiny")


@pytest.fixture
def tiny(repo_root: Path) -> Path:
    return repo_root / TINY


def test_propose_is_what_is_shipped_with_the_tiny_corpus(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.jsonl"
    assert main(["repairs", "propose", str(tiny), "--out", str(out)]) == 0
    committed = (tiny / "repairs.jsonl").read_text(encoding="utf-8").splitlines()
    # The last line is a person's.
    assert out.read_text(encoding="utf-8").splitlines() == committed[:-1]
    assert main(["repairs", "propose", str(tiny), "--kinds", "--out", str(out)]) == 0
    (header,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert header["splits"] == json.loads(committed[0])["splits"]


def test_check(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tiny / "repairs.jsonl")
    assert main(["repairs", "check", file, str(tiny), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["undecided"] == 0
    assert report["splits"]["train"]["corrections"] == {"split_abbreviation": 1}
    assert report["splits"]["test"]["corrections"] == {"manual": 1}
    assert main(["repairs", "check", file, str(tiny)]) == 0
    shown = capsys.readouterr().out
    assert "split_abbreviation" in shown and "invalid I-" in shown
    # The wrong corpus, and a type that another reading names otherwise.
    assert main(["repairs", "check", "twitter2015_umt", str(tiny)]) == 2
    assert "made for twitter2015" in capsys.readouterr().err
    text = '{"entity_types": ["PER", "LOC", "ORG", "OTHER"], "type_map": {}}'
    assert main(["repairs", "check", file, str(tiny), "--text", text]) == 2
    assert "another type_map" in capsys.readouterr().err


def test_show(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tiny / "repairs.jsonl")
    assert main(["repairs", "show", file, str(tiny)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] in "+-"] == [
        "-J\tO", "+J\tB-PER", "-.\tO", "+.\tI-PER",
        "-bridge\tO", "+bridge\tB-LOC", "-of\tO", "+of\tI-LOC", "-Torvik\tB-LOC", "+Torvik\tI-LOC",
    ]  # fmt: skip
    assert " Brindle\tI-PER" in lines
    assert main(["repairs", "show", file, str(tiny), "--reasons", "manual"]) == 0
    assert "Brindle" not in capsys.readouterr().out
    assert main(["repairs", "show", file, str(tiny), "--reasons", "orphan"]) == 2
    assert "Did you mean 'orphan_inside'" in capsys.readouterr().err


def test_undecided_groups_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split, tag in (("train", "B-LOC"), ("valid", "O"), ("test", "B-ORG")):
        (tmp_path / f"{split}.txt").write_text(f"IMGID:{split}\nRome\t{tag}\nwins\tO\n")
    out = tmp_path / "toy.jsonl"
    assert main(["repairs", "propose", str(tmp_path), "--out", str(out)]) == 0
    assert main(["repairs", "show", str(out), str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "@@ undecided: no majority among 3 tweets @@",
        " train-00000: Rome wins", "   LOC [0, 1) Rome",
        " valid-00000: Rome wins", "   nothing",
        " test-00000: Rome wins", "   ORG [0, 1) Rome",
    ]  # fmt: skip


def test_a_corpus_with_labels_set_aside_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.txt").write_text("IMGID:1\nRome\tB-CITY\n")
    assert main(["repairs", "propose", str(tmp_path), "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "train.txt:2: odd_label 'B-CITY'" in capsys.readouterr().err


def test_the_dataset_command_keeps_both_golds(tiny: Path, tmp_path: Path) -> None:
    def prepare(out: Path, *more: str) -> dict:
        command = ["dataset", "--reader", "conll_imgid", "--root", str(tiny), "--out", str(out)]
        assert main([*command, *more]) == 0
        return json.loads((out / "stats.json").read_text(encoding="utf-8"))

    plain = prepare(tmp_path / "plain")
    stats = prepare(tmp_path / "repaired", "--repairs", str(tiny / "repairs.jsonl"))
    assert "repairs" not in plain["train"]
    assert stats["train"]["repairs"]["corrections"] == {"split_abbreviation": 1}
    assert stats["train"]["repairs"]["after"]["orphan_i"] == 0
    assert {s: c["orphan_i"] for s, c in stats.items()} == {"train": 1, "valid": 0, "test": 0}
    for split, counts in stats.items():
        del counts["repairs"]
        assert counts == plain[split]
        before = read_samples(tmp_path / f"plain/samples/{split}.jsonl")
        after = read_samples(tmp_path / f"repaired/samples/{split}.jsonl")
        assert [s.tags for s in after] == [s.tags for s in before]
        repaired = [s.id for s in after if s.repaired_tags is not None]
        assert repaired == {"train": ["train-00002"], "valid": [], "test": ["test-00001"]}[split]
    # A prepared dataset holds the original gold still, so the file fits it too.
    file = str(tiny / "repairs.jsonl")
    assert main(["repairs", "check", file, str(tmp_path / "repaired")]) == 0
