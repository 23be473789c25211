"""The results table: rows, what stands beside them, the page."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders.train.run_folders import write_run
from train.__main__ import main
from train.comparing.intervals import interval_rows
from train.comparing.markdown import markdown_table
from train.comparing.results import entry_of, read_results
from train.comparing.results_page import render_results
from train.comparing.results_table import ResultRow, result_rows
from train.comparing.tables import read_table, write_table

N_RESAMPLES = 200


def edit(path: Path, **changes: object) -> None:
    metrics = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**metrics, **changes}), encoding="utf-8")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [write_run(tmp_path, "text_crf", seed=s, skill=0.6) for s in (1, 2)]
    found += [write_run(tmp_path, "ita", seed=s, skill=0.9, views=("mm", "text")) for s in (1, 2)]
    found.append(write_run(tmp_path, "ita", "without_ocr", 1, skill=0.5, run="ita-without_ocr"))
    found.append(write_run(tmp_path, "acn", skill=0.7))
    for path in found:
        edit(path, dataset="twitter2017")
    return found


def rows_of(paths: list[Path]) -> dict[str, ResultRow]:
    groups = read_results(paths)
    rows = result_rows(groups, interval_rows(groups, N_RESAMPLES))
    return {f"{row.system}/{row.variant}": row for row in rows}


def test_differences_have_the_sign_of_their_row(paths) -> None:
    groups = read_results(paths)
    intervals = {row.comparison: row for row in interval_rows(groups, N_RESAMPLES)}
    rows = rows_of(paths)
    assert list(rows) == [
        *("text_crf/main", "ita/main", "ita/text_view", "ita/without_ocr", "acn/main"),
    ]
    ita, crf, control, acn = (
        rows[name] for name in ("ita/main", "text_crf/main", "ita/without_ocr", "acn/main")
    )
    gap = intervals["ita/main - text_crf/main"]
    assert (ita.delta_baseline, ita.p_baseline) == (gap.delta, gap.p_holm)
    assert (crf.delta_best, crf.p_best) == (-gap.delta, gap.p_holm)
    assert (crf.delta_baseline, ita.delta_best, crf.min_detectable) == (None, None, None)
    assert ita.min_detectable == gap.min_detectable
    less = intervals["ita/main - ita/without_ocr"]
    assert (control.delta_main, control.p_main) == (-less.delta, less.p_holm)
    assert control.delta_main < 0 and control.min_detectable == less.min_detectable
    assert acn.delta_best == intervals["acn/main - ita/main"].delta < 0
    assert (ita.low, ita.high) == (intervals["ita/main"].low, intervals["ita/main"].high)
    assert ita.n_seeds == 2 and math.isnan(control.f1_sd)


def test_the_repaired_gold_counts_where_every_seed_has_it(paths) -> None:
    assert math.isnan(rows_of(paths)["text_crf/main"].repaired_f1_mean)
    edit(paths[0], repaired={"main": {"all": {"f1": 50.0}}})
    assert math.isnan(rows_of(paths)["text_crf/main"].repaired_f1_mean)
    edit(paths[1], repaired={"main": {"all": {"f1": 60.0}}})
    assert rows_of(paths)["text_crf/main"].repaired_f1_mean == 55.0


def test_published_scores_stand_beside_main_rows_alone(paths, minilm: Path) -> None:
    rows = rows_of(paths)
    assert rows["text_crf/main"].published_f1 == 83.44
    assert rows["ita/without_ocr"].published_f1 is rows["ita/text_view"].published_f1 is None
    assert rows["text_crf/main"].encoder == ""
    for path in paths[:2]:
        folder = path.parent / "assets" / "encoder"
        folder.mkdir(parents=True)
        (path.parent / "run.json").write_text("{}", encoding="utf-8")
        (folder / "config.json").write_bytes((minilm / "config.json").read_bytes())
    row = rows_of(paths)["text_crf/main"]
    assert row.encoder == "MiniLM-L6" and row.published_provenance == "second_hand"
    assert row.comparable == (
        "no: other encoder (MiniLM-L6, 22M, against BERT-base, 110M); 40 test tweets against 723"
    )


def test_the_page_shows_what_the_rows_hold(paths) -> None:
    rows = list(rows_of(paths).values())
    page = render_results(rows)
    lines = page.splitlines()
    assert "## twitter2017" in lines and "### Beside published scores" in lines
    head = next(line for line in lines if line.startswith("| system | variant"))
    assert "repaired" not in head and "- main" in head
    rule = lines[lines.index(head) + 1]
    assert rule.count("---:") == head.count(" | ") - 1 and rule.startswith("| --- | --- | ---:")
    ita = next(row for row in rows if (row.system, row.variant) == ("ita", "main"))
    line = next(line for line in lines if line.startswith("| ita | main | 2 |"))
    for part in (
        f"{ita.f1_mean:.2f} ± {ita.f1_sd:.2f}",
        f"{ita.low:.2f} – {ita.high:.2f}",
        f"{ita.delta_baseline:+.2f} (",
        f"| {ita.min_detectable:.2f} |",
    ):
        assert part in line
    assert "| acn | main | 1 | " in page
    with_repaired = [replace(row, repaired_f1_mean=71.5) for row in rows]
    assert "| repaired |" in render_results(with_repaired)
    elsewhere = [replace(row, dataset="toy", published_f1=None) for row in rows]
    assert "published scores" not in render_results(elsewhere).lower()


def test_cells_cannot_break_a_table() -> None:
    assert markdown_table(("a", "n"), [("x|y", "1")]) == (
        "| a | n |\n| --- | ---: |\n| x\\|y | 1 |\n"
    )


def test_rows_come_back_from_the_file(tmp_path: Path, paths) -> None:
    out = {name: tmp_path / name for name in ("summary.tsv", "table.tsv", "table.md")}
    arguments = ["--metrics", *paths, "--out", out["summary.tsv"], "--table", out["table.tsv"]]
    arguments += ["--page", out["table.md"], "--resamples", N_RESAMPLES]
    assert main(["summarize", *map(str, arguments)]) == 0
    rows = list(rows_of(paths).values())
    write_table(tmp_path / "again.tsv", ResultRow, rows)
    assert (tmp_path / "again.tsv").read_bytes() == out["table.tsv"].read_bytes()
    assert out["table.md"].read_text(encoding="utf-8") == render_results(rows)
    for row, read in zip(rows, read_table(out["table.tsv"], ResultRow), strict=True):
        assert (read.system, read.variant, read.n_seeds) == (row.system, row.variant, row.n_seeds)
        assert read.f1_mean == pytest.approx(row.f1_mean, abs=0.006)
        assert read.delta_main == pytest.approx(row.delta_main, abs=0.006)
        assert read.comparable == row.comparable and (read.p_best is None) == (row.p_best is None)


def test_entries_of_one_system_keep_their_controls(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, "ita", run=run, skill=0.9) for run in ("ita_a", "ita_b")]
    paths.append(write_run(tmp_path, "ita", "shuffled", run="ita_b-shuffled", skill=0.5))
    found = rows_of(paths)
    assert list(found) == ["ita:ita_a/main", "ita:ita_b/main", "ita:ita_b/shuffled"]
    assert found["ita:ita_b/shuffled"].delta_main < 0
    baselines = [write_run(tmp_path, "text_crf", run=run, skill=0.7) for run in ("small", "large")]
    found = rows_of([*paths, *baselines])
    assert next(iter(found)) == "text_crf:small/main"
    assert found["ita:ita_a/main"].delta_baseline > 0
    assert entry_of("ita-without_ocr", "without_ocr") == "ita"
    assert entry_of("acn_vgg16_blank", "blank") == "acn_vgg16"
    assert entry_of("ita", "main") == "ita" and entry_of("ita_main", "main") == "ita_main"


def test_a_blank_run_of_another_entry_is_no_control(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, "ita"), write_run(tmp_path, "ita", run="ita_main")]
    paths.append(write_run(tmp_path, "ita", "blank", run="ita_other"))
    found = rows_of(paths)
    assert list(found) == ["ita:ita/main", "ita:ita_main/main", "ita:ita_other/blank"]
    assert found["ita:ita_other/blank"].delta_main is None


def test_only_a_trained_view_is_a_row(paths: list[Path]) -> None:
    for path in paths:
        edit(path, trained_views=["mm"])
    assert "ita/text_view" not in rows_of(paths)
