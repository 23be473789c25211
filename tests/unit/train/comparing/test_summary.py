"""Tables and predictions files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from extract.core.errors import DataError, MissingFileError
from extract.tables.samples import Sample
from tests.builders.train.run_folders import SAMPLES, noisy, write_run
from train.comparing.intervals import IntervalRow, comparisons, interval_rows
from train.comparing.results import read_results
from train.comparing.summary import SummaryRow, summary_rows
from train.comparing.tables import read_table, write_table
from train.measures.metrics import count_tags, micro_counts
from train.measures.predictions import read_predictions, write_predictions


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    runs = [
        write_run(tmp_path, "ita", "shuffled", seed, skill=0.4, views=("mm", "text"))
        for seed in (1, 2)
    ]
    runs += [write_run(tmp_path, "ita", seed=s, skill=0.95, views=("mm", "text")) for s in (2, 1)]
    runs += [write_run(tmp_path, "text_crf", seed=s, skill=0.5) for s in (1, 2)]
    return runs


def test_predictions_come_back_with_odd_tokens(tmp_path: Path) -> None:
    tokens = ["a\tb", "", "\u2028", "\u00a0", "IMGID:", "x y", "\x85"]
    samples = [Sample("1", "1.jpg", tokens, ["O"] * 7), SAMPLES[0]]
    pred = [["B-PER"] * 7, SAMPLES[0].tags]
    write_predictions(tmp_path / "p.conll", samples, pred)
    first, second = read_predictions(tmp_path / "p.conll")
    assert (first.image_id, first.tokens, first.gold, first.pred) == (
        *("1.jpg", tokens, ["O"] * 7, ["B-PER"] * 7),
    )
    assert second.tokens == SAMPLES[0].tokens and second.pred == SAMPLES[0].tags
    with pytest.raises(DataError, match="line break"):
        write_predictions(tmp_path / "q.conll", [Sample("1", "1", ["a\nb"], ["O"])], [["O"]])
    (tmp_path / "bad.conll").write_text("IMGID:1\nword O\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.conll:2"):
        read_predictions(tmp_path / "bad.conll")


def test_rows_views_and_order(paths: list[Path]) -> None:
    rows = summary_rows(read_results(paths))
    found = list(dict.fromkeys((row.system, row.variant) for row in rows))
    expected = [("text_crf", "main"), ("ita", "main"), ("ita", "text_view"), ("ita", "shuffled")]
    assert found == expected
    assert [row.slice for row in rows[:4]] == ["all", "picture", "words", "without_handle"]
    row = rows[0]
    f1s = [micro_counts([s.tags for s in SAMPLES], noisy(0.5, ("text_crf", seed, "main"))).f1
           for seed in (1, 2)]  # fmt: skip
    assert row.f1_mean == pytest.approx(np.mean(f1s))
    assert row.f1_sd == pytest.approx(np.std(f1s, ddof=1))
    assert row.n_seeds == 2 and row.precision == 100.0


def test_a_summary_is_written_with_exact_columns(tmp_path: Path, paths: list[Path]) -> None:
    rows = summary_rows(read_results(paths[-1:]))
    write_table(tmp_path / "summary.tsv", SummaryRow, rows)
    lines = (tmp_path / "summary.tsv").read_text(encoding="utf-8").splitlines()
    header = "dataset system variant slice n_seeds precision recall f1_mean f1_sd macro_f1_mean "
    header += "strict_f1_mean seen_recall_mean unseen_recall_mean"
    assert lines[0].split("\t") == header.split()
    cells = lines[1].split("\t")
    assert cells[:5] == ["toy", "text_crf", "main", "all", "1"] and cells[8] == "nan"
    assert all(len(cell.split(".")[1]) == 2 for cell in cells[5:8])
    assert read_table(tmp_path / "summary.tsv", SummaryRow)[0].n_seeds == 1
    (tmp_path / "summary.tsv").write_text("a\tb\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected columns"):
        read_table(tmp_path / "summary.tsv", SummaryRow)


def test_what_a_run_does_not_tell_is_nan_and_not_zero(tmp_path: Path) -> None:
    path = write_run(tmp_path, "ita", skill=0.7)
    row = summary_rows(read_results([path]))[0]
    assert row.seen_recall_mean != row.seen_recall_mean  # evaluated without training samples
    assert 0 < row.strict_f1_mean == row.f1_mean < 100 and 0 < row.macro_f1_mean < 100
    metrics = json.loads(path.read_text(encoding="utf-8"))
    scores = metrics["views"]["main"]["all"]
    scores |= {"seen": {"recall": 0.0, "n_gold": 0}, "unseen": {"recall": 60.0, "n_gold": 5}}
    path.write_text(json.dumps(metrics), encoding="utf-8")
    row = summary_rows(read_results([path]))[0]
    assert row.seen_recall_mean != row.seen_recall_mean and row.unseen_recall_mean == 60.0


def test_variants_are_in_the_order_of_tables(tmp_path: Path) -> None:
    names = ("without_ocr", "blank", "main", "without_captions", "shuffled")
    paths = [write_run(tmp_path, "ita", name, views=("mm", "text")) for name in names]
    assert [group[2] for group in read_results(paths)] == [
        *("main", "text_view", "shuffled", "blank", "without_captions", "without_ocr"),
    ]


def test_a_cell_that_is_no_number_is_named(tmp_path: Path, paths: list[Path]) -> None:
    rows = summary_rows(read_results(paths[-1:]))
    write_table(tmp_path / "s.tsv", SummaryRow, rows)
    text = (tmp_path / "s.tsv").read_text(encoding="utf-8")
    (tmp_path / "s.tsv").write_text(text.replace("\tall\t1\t", "\tall\tone\t"), encoding="utf-8")
    with pytest.raises(DataError, match=r"s\.tsv:2: n_seeds should be a number, got 'one'"):
        read_table(tmp_path / "s.tsv", SummaryRow)


def test_intervals_and_differences(tmp_path: Path, paths: list[Path]) -> None:
    groups = read_results(paths)
    rows = interval_rows(groups, 500)
    found = {row.comparison: row for row in rows}
    assert set(found) == {
        "text_crf/main",
        "ita/main",
        "ita/text_view",
        "ita/shuffled",
        "ita/main - text_crf/main",
        "ita/main - ita/text_view",
        "ita/main - ita/shuffled",
    }
    means = {f"{r.system}/{r.variant}": r.f1_mean for r in summary_rows(groups)
             if r.slice == "all"}  # fmt: skip
    for name, mean in means.items():
        assert found[name].delta == pytest.approx(mean) and found[name].p is None
        assert found[name].low < mean < found[name].high
    gap = found["ita/main - text_crf/main"]
    assert gap.delta == pytest.approx(means["ita/main"] - means["text_crf/main"])
    assert gap.low > 0 and gap.p == pytest.approx(2 / 501)
    write_table(tmp_path / "i.tsv", IntervalRow, rows)
    again = read_table(tmp_path / "i.tsv", IntervalRow)
    assert again[0].p is None and again[-1].p == pytest.approx(rows[-1].p, abs=1e-4)


def test_comparisons_need_their_partners() -> None:
    assert comparisons([("acn", "main"), ("acn", "blank"), ("ita", "shuffled")]) == [
        (("acn", "main"), ("acn", "blank"))
    ]


def test_two_runs_of_one_system_are_not_mixed(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, "ita", run=run, views=("mm",)) for run in ("ita_a", "ita_b")]
    assert [row.system for row in summary_rows(read_results(paths)) if row.slice == "all"] == [
        "ita:ita_a",
        "ita:ita_b",
    ]


def test_a_seed_given_twice_is_refused(paths: list[Path]) -> None:
    with pytest.raises(DataError, match="seed 2 is given twice"):
        read_results([*paths, paths[-1]])


def test_other_tweets_are_refused(tmp_path: Path, paths: list[Path]) -> None:
    others = [replace(sample, tokens=[*sample.tokens[:-1], "x"]) for sample in SAMPLES]
    odd = write_run(tmp_path, "acn", samples=others)
    with pytest.raises(DataError, match="same samples file"):
        interval_rows(read_results([*paths, odd]), 10)


def test_missing_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.json"):
        read_results([tmp_path / "none.json"])


def test_counts_from_files_equal_the_metrics(paths: list[Path]) -> None:
    texts = read_predictions(paths[0].parent / "predictions.conll")
    total = sum(count_tags(text.gold, text.pred).n_correct for text in texts)
    metrics = json.loads(paths[0].read_text(encoding="utf-8"))
    assert total == metrics["views"]["mm"]["all"]["n_correct"]
