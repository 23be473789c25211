"""Ablation tables: rows, differences against a plain computation, files and mistakes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from extract.core.errors import DataError
from extract.tables.samples import write_samples
from tests.builders.train.run_folders import SAMPLES, noisy, write_run
from train.__main__ import main
from train.comparing.ablation import AblationRow, ablation_rows
from train.comparing.ablation_page import render_page
from train.comparing.results import read_results
from train.comparing.statistics import SEED
from train.comparing.summary import summary_rows
from train.comparing.tables import read_table
from train.measures.metrics import micro_counts

N_RESAMPLES = 120
RUNS = {"full": "ita", "without_a": "context-without_a", "blank": "context-blank"}
SKILL = {"full": 0.9, "without_a": 0.75, "blank": 0.5}
SEEDS = {"full": (1, 2), "without_a": (2, 1), "blank": (1,)}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Metrics of three runs of one system, two of them of one variant; an unrelated one."""
    views = ("mm", "text")
    found = []
    for row, run in RUNS.items():
        variant = "blank" if row == "blank" else "main"
        found += [
            write_run(tmp_path, "ita", variant, s, skill=SKILL[row], views=views, run=run)
            for s in SEEDS[row]
        ]
    return [*found, write_run(tmp_path, "acn")]


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Path]:
    write_samples(tmp_path / "test.jsonl", SAMPLES)
    return {"toy": tmp_path / "test.jsonl"}


def f1(row: str, tweets: Sequence[int]) -> float:
    """Return the mean over seeds of the F1 on these tweets, counted from the tags."""
    scores = []
    for seed in SEEDS[row]:
        pred = noisy(SKILL[row], (RUNS[row], seed, "mm"))
        gold = [SAMPLES[i].tags for i in tweets]
        scores.append(micro_counts(gold, [pred[i] for i in tweets]).f1)
    return float(np.mean(scores))


@pytest.mark.parametrize("name", ["all", "picture", "words", "without_handle"])
@pytest.mark.parametrize("row", ["without_a", "blank"])
def test_a_difference_is_that_of_a_plain_paired_bootstrap(paths, samples, row, name):
    # No toy tweet has a handle.
    chosen = ("all", "without_handle")
    tweets = [i for i, s in enumerate(SAMPLES) if name in (*chosen, s.evidence)]
    draws = np.random.default_rng(SEED).integers(0, len(tweets), (N_RESAMPLES, len(tweets)))
    resamples = [[tweets[i] for i in draw] for draw in draws]
    deltas = np.array([f1(row, chosen) - f1("full", chosen) for chosen in resamples])
    rows = ablation_rows(paths, RUNS, samples, N_RESAMPLES)
    found = next(r for r in rows if (r.switch, r.slice) == (row, name))
    assert found.delta == pytest.approx(f1(row, tweets) - f1("full", tweets))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(deltas, [2.5, 97.5])))
    tail = min((deltas <= 0).sum(), (deltas >= 0).sum())
    assert found.p == pytest.approx(min(1, 2 * (tail + 1) / (N_RESAMPLES + 1)))


def test_rows_are_in_order_and_hold_what_the_summary_holds(paths, samples):
    rows = ablation_rows(paths, RUNS, samples, 10)
    kinds = ("all", "picture", "words", "without_handle")
    assert [(r.switch, r.slice) for r in rows] == [(s, kind) for s in RUNS for kind in kinds]
    assert [r.n_seeds for r in rows if r.slice == "all"] == [2, 2, 1]
    whole = {r.slice: r for r in summary_rows(read_results(paths[:2])) if r.variant == "main"}
    for row in rows[:4]:
        shared = ("precision", "recall", "f1_mean", "f1_sd", "n_seeds")
        assert [getattr(row, name) for name in shared] == [
            getattr(whole[row.slice], name) for name in shared
        ]
        assert (row.delta, row.low, row.high, row.p) == (None,) * 4


def test_p_is_corrected_for_the_rows_of_a_slice(paths, samples):
    rows = ablation_rows(paths, RUNS, samples, 200)
    for name in ("all", "words"):
        pair = [row for row in rows if row.slice == name and row.p is not None]
        low, high = sorted(row.p for row in pair)
        corrected = sorted(row.p_holm for row in pair)
        assert corrected == pytest.approx([min(1, 2 * low), max(min(1, 2 * low), high)])


def test_without_samples_kinds_have_differences_and_no_intervals(paths, samples):
    with_samples = ablation_rows(paths, RUNS, samples, 10)
    without = ablation_rows(paths, RUNS, {}, 10)
    for row, other in zip(with_samples, without, strict=True):
        unknown = {} if row.slice == "all" else dict.fromkeys(("low", "high", "p", "p_holm"))
        # NaN, of one seed, is not equal to itself.
        assert repr(replace(row, **unknown)) == repr(other)


def test_corpora_are_apart(tmp_path, paths, samples):
    others = [
        write_run(tmp_path / "b", "ita", run=run, skill=0.3, views=("mm",)) for run in RUNS.values()
    ]
    for path in others:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"dataset": "toy"', '"dataset": "b"'), encoding="utf-8")
    rows = ablation_rows([*paths, *others], RUNS, samples, 10)
    assert [r.dataset for r in rows if r.slice == "all"] == ["toy"] * 3 + ["b"] * 3
    alone = ablation_rows(paths, RUNS, samples, 10)
    assert repr(rows[: len(alone)]) == repr(alone)


def test_mistakes_are_named(tmp_path, paths, samples):
    with pytest.raises(DataError, match=r"row 'blank': no metrics of run 'context-blank'.*toy"):
        ablation_rows(paths[:4], RUNS, samples, 10)
    with pytest.raises(DataError, match="given twice"):
        ablation_rows([*paths, paths[0]], RUNS, samples, 10)
    write_samples(tmp_path / "test.jsonl", SAMPLES[1:])
    with pytest.raises(DataError, match=r"test\.jsonl: other tweets than .*predictions\.conll"):
        ablation_rows(paths, RUNS, samples, 10)
    plain = [replace(s, evidence="words" if s.evidence else None) for s in SAMPLES]
    write_samples(tmp_path / "test.jsonl", plain)
    with pytest.raises(DataError, match=r"test\.jsonl: no tweet of the slice 'picture'"):
        ablation_rows(paths, RUNS, samples, 10)


def test_page_has_a_table_of_all_tweets_and_one_of_kinds():
    row = AblationRow("toy", "full", "all", 2, 71.0, 69.0, 70.0, 0.5)
    gap = {"delta": -3.0, "low": -5.5, "high": 0.25, "p": 0.04, "p_holm": 0.08}
    less = replace(row, switch="without_a", f1_mean=67.0, n_seeds=1, f1_sd=float("nan"), **gap)
    kinds = [replace(r, slice="words") for r in (row, replace(less, low=None, high=None))]
    page = render_page("context", [row, kinds[0], less, kinds[1]])
    assert page.startswith("# Ablation context\n")
    lines = page.splitlines()
    assert "|  | seeds | precision | recall | F1 | difference | p | p, Holm |" in lines
    assert "| full | 2 | 71.00 | 69.00 | 70.00 ± 0.50 |  |  |  |" in lines
    assert (
        "| without_a | 1 | 71.00 | 69.00 | 67.00 | -3.00 [-5.50, +0.25] | 0.0400 | 0.0800 |"
        in lines
    )
    assert lines[-4:] == [
        "|  | words |",
        "| --- | ---: |",
        "| full | 70.00 ± 0.50 |",
        "| without_a | 67.00 (-3.00) |",
    ]
    assert "slice" not in render_page("context", [row, less])


def test_commands_write_and_print_the_table(tmp_path, paths, samples, capsys):
    out = tmp_path / "ablations" / "context.tsv"
    arguments = ["--metrics", *paths, "--rows", *(f"{row}={run}" for row, run in RUNS.items())]
    arguments += ["--samples", f"toy={samples['toy']}", "--out", out]
    arguments += ["--page", out.with_suffix(".md"), "--resamples", 50]
    assert main(["ablate", *map(str, arguments)]) == 0
    header = "dataset switch slice n_seeds precision recall f1_mean f1_sd delta low high p p_holm"
    assert out.read_text(encoding="utf-8").splitlines()[0].split("\t") == header.split()
    expected = ablation_rows(paths, RUNS, samples, 50)
    for row, read in zip(expected, read_table(out, AblationRow), strict=True):
        for name, value in asdict(read).items():
            wanted = getattr(row, name)
            if isinstance(wanted, float):
                assert value == pytest.approx(wanted, abs=0.006, nan_ok=True)
            else:
                assert value == wanted
    assert "# Ablation context" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""
    assert main(["table", "--ablation", str(out)]) == 0
    shown = capsys.readouterr().out
    for part in ("Ablation context", "without_a", "picture", f"{expected[4].delta:.2f}"):
        assert part in shown
    assert main(["table"]) == 2
    assert "--ablation" in capsys.readouterr().err
    assert main(["ablate", "--metrics", "x", "--rows", "full", "--out", str(out)]) == 2
    assert "--rows full: expected ROW=RUN." in capsys.readouterr().err
