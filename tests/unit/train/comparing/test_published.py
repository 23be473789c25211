"""Published scores: the shipped data, and when a run may stand beside one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from extract.core.registry import available
from train.comparing.published import (
    NO_ENCODER,
    RunFacts,
    encoder_name,
    obstacles,
    published_for,
    published_table,
    run_facts,
    verdict,
)

ENCODERS, RESULTS = published_table()
UNCASED = "BERT-base-uncased"
CONTEXTS = frozenset({"captions", "objects", "ocr"})


@pytest.mark.parametrize("entry", RESULTS, ids=lambda e: f"{e.system}-{e.dataset}-{e.encoder}")
def test_an_entry_is_complete(entry) -> None:
    assert entry.system in available("train.systems")
    assert entry.dataset in ("twitter2015", "twitter2017")
    assert set(entry.comparable_if) == {"encoder", "features", "n_test"}
    assert entry.comparable_if["n_test"] == {"twitter2015": 3257, "twitter2017": 723}[entry.dataset]
    for name in entry.comparable_if["encoder"]:
        assert name in ENCODERS or name == NO_ENCODER
    wanted = entry.comparable_if["encoder"][0]
    facts = RunFacts(
        wanted, frozenset(entry.comparable_if["features"]), entry.comparable_if["n_test"]
    )
    assert obstacles(entry, facts) == ([entry.obstacle] if entry.obstacle else [])


@pytest.mark.parametrize("entry", published_table()[1], ids=str)
def test_no_score_of_an_unknown_copy_or_epoch_counts_as_comparable(entry) -> None:
    text = " ".join([entry.obstacle, *entry.doubts])
    assert "copy of the corpus is not known" in text or entry.obstacle
    if entry.system in ("vec_mner", "rpi_hmif"):
        assert "chosen on test" in text


def test_no_score_is_given_twice() -> None:
    keys = [(entry.system, entry.dataset, entry.encoder) for entry in RESULTS]
    assert len(set(keys)) == len(keys)


def test_the_entry_of_the_runs_own_encoder_is_taken() -> None:
    base = published_for("text_crf", "twitter2017", RunFacts(UNCASED, frozenset(), 723))
    large = published_for("text_crf", "twitter2017", RunFacts("XLM-R-large", frozenset(), 723))
    small = published_for("text_crf", "twitter2017", RunFacts("MiniLM-L6", frozenset(), 723))
    assert (base.f1, large.f1, small.f1) == (83.44, 89.11, 83.44)
    # Nor is one of the same encoder comparable here, yet it is the nearer of the two.
    other_copy = RunFacts("XLM-R-large", frozenset(), 1459)
    assert published_for("text_crf", "twitter2017", other_copy).f1 == 89.11
    assert published_for("text_crf", "sample", RunFacts(UNCASED, frozenset(), 10)) is None


def test_reasons_against_a_comparison() -> None:
    facts = RunFacts("MiniLM-L6", frozenset({"captions"}), 1459)
    entry = published_for("ita", "twitter2017", facts)
    assert verdict(obstacles(entry, facts)) == (
        "no: other encoder (MiniLM-L6, 22M, against XLM-R-large, 560M); without objects, ocr; "
        "1459 test tweets against 723"
    )
    like = RunFacts("XLM-R-large", CONTEXTS, 723)
    assert obstacles(entry, like) == []
    assert obstacles(entry, replace(like, gold="repaired")) == ["trained on the repaired gold"]
    assert (verdict([]), verdict([], ["a", "b"])) == ("yes", "unclear: a; b")
    assert verdict(["c"], ["a"]) == "no: c"
    unknown = verdict(obstacles(entry, RunFacts("", frozenset(), 723)))
    assert unknown == "no: the encoder of the run is not known (no run.json beside its metrics)"
    acn = published_for("acn", "twitter2015", RunFacts(NO_ENCODER, frozenset({"grid"}), 3257))
    assert obstacles(acn, RunFacts(NO_ENCODER, frozenset({"grid"}), 3257)) == [acn.obstacle]


def test_facts_are_read_from_the_run_folder(tmp_path: Path) -> None:
    assert run_facts(tmp_path, 5) == RunFacts("", frozenset(), 5)
    (tmp_path / "run.json").write_text('{"features": {"grid": "vgg16"}}', encoding="utf-8")
    assert run_facts(tmp_path, 5) == RunFacts(NO_ENCODER, frozenset({"grid"}), 5)
    config = tmp_path / "assets" / "encoder" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps(ENCODERS["XLM-R-large"]["config"]), encoding="utf-8")
    assert run_facts(tmp_path, 5).encoder == "XLM-R-large"


def test_an_encoder_is_named_by_its_shape(minilm: Path) -> None:
    config = json.loads((minilm / "config.json").read_text(encoding="utf-8"))
    assert encoder_name(config) == "MiniLM-L6"
    assert encoder_name({**config, "num_hidden_layers": 3}) == "bert, 3 layers of 384"
    base = ENCODERS[UNCASED]["config"]
    assert encoder_name(base) == UNCASED
    assert encoder_name({**base, "vocab_size": 28996}) == "BERT-base-cased"
    assert encoder_name({**base, "vocab_size": 21128}) == "bert, 12 layers of 768"
