"""The report: tables as they are given, figures, data of the browser, and one safe page."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from extract.core.errors import ConfigError, DataError, MissingFileError
from tests.builders.train.report_inputs import (
    FIRST,
    HOSTILE,
    SAMPLES,
    SECOND,
    gallery_record,
    make_job,
    tabulated_job,
    write_tagged,
)
from train.comparing.results import VARIANT_ORDER
from train.comparing.results_page import LEGEND
from train.comparing.results_table import ResultRow
from train.comparing.tables import read_table
from train.measures.slices import tweet_slices
from train.report import words
from train.report.browser import browser_data, data_script
from train.report.build import write_report
from train.report.corpora import corpora_html
from train.report.figures.ceilings import Ceiling, parse_ceilings
from train.report.figures.dot_grid import MAX_COLUMNS, Dot, DotGrid, draw_dot_grids
from train.report.figures.intervals import COLUMNS, draw_differences, draw_f1
from train.report.figures.learning_curves import draw_curves, read_curves
from train.report.figures.slices import draw_mentions, draw_slices, draw_types
from train.report.page import Section, render_page
from train.report.runs import read_systems
from train.report.tables import Table, read_tsv, table_html

VOID = {"meta", "img", "br", "link", "input"}


class Outline(HTMLParser):
    """Checks that elements are closed in order; keeps tags with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_report(make_job(tmp_path_factory.mktemp("report")))


def page_of(written: list[Path]) -> str:
    return written[-1].read_text(encoding="utf-8")


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    first, second = (write_report(replace(job, out=tmp_path / name)) for name in "ab")
    names = {f"{name}.{kind}" for name in words.FIGURES for kind in ("png", "svg")}
    assert {path.name for path in first} == names | {"report.html"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_page_needs_no_other_file_and_is_well_formed(written: list[Path]) -> None:
    page = page_of(written)
    outline = Outline(page)
    for tag, attributes in outline.tags:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for t, a in outline.tags if t == "a" and a["href"].startswith("#")}
    assert links == {"results", "figures", "browse"} and links <= set(ids)
    scopes = {attributes.get("scope") for tag, attributes in outline.tags if tag == "th"}
    assert scopes == {"col", "row"}
    assert page.count("<figure>") == len(words.FIGURES)
    assert len(re.findall(r"^ *summary \{", page, re.MULTILINE)) == 1


def test_systems_stand_beside_what_is_published(written: list[Path]) -> None:
    page = page_of(written)
    tables = re.findall(r"<table class=\"sortable\"><caption>(.*?)</table>", page, re.DOTALL)
    systems = next(table for table in tables if table.startswith(words.SYSTEMS))
    heads = re.findall(r"<button type=\"button\">(.*?)</button>", systems)
    assert heads[:5] == ["dataset", "system", "variant", "seeds", "F1"]
    assert {"- text_crf", "- best", "detectable"} < set(heads)
    [row] = re.findall(r"<tr>(<th scope=\"row\">toy</th><th scope=\"row\">ita.*?)</tr>", systems)
    cells = re.findall(r">([^<>]+)<", row)
    value = read_table(written[0].parents[1] / "table.tsv", ResultRow)[1]
    assert cells[3] == str(value.n_seeds) and cells[4] == f"{value.f1_mean:.2f}"
    published = next(table for table in tables if table.startswith(words.PUBLISHED))
    assert "81.50" in published and "no: tiny" in published
    assert all(html.escape(name) in page for name in LEGEND)


def test_hostile_texts_stay_texts(written: list[Path]) -> None:
    page = page_of(written)
    assert "<img src=x" not in page and HOSTILE not in page
    block = re.search(r'<script type="application/json" data-dataset="toy">(.*?)</script>', page)
    data = json.loads(block[1])
    assert data["tweets"][1][2] == SAMPLES[1].tokens
    assert data["images"]["0"]["captions"]["blip"] == [f"a man {HOSTILE}"]
    odd = render_page("<b>", [Section("a", "<i>", "")], [data_script({"name": '"><b>'})])
    assert "<b>" not in odd and "<i>" not in odd


def test_taggings_are_told_once_as_spans(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    [data] = browser_data(read_systems(job.metrics), job.samples, job.galleries)
    assert data["types"] == ["PER", "LOC", "ORG", "MISC"]
    assert [tweet[0] for tweet in data["tweets"]] == ["t0", "t1", "t2"]
    assert data["tweets"][0][3:] == [[0, 2, 0, 3, 4, 1], "words", 0]
    # The flag of a handle agrees with the slice that is scored: @ann, and Bob after @.
    assert [tweet[5] for tweet in data["tweets"]] == [0, 1, 1]
    assert tweet_slices(SAMPLES)["with_handle"] == [1, 2]
    runs = {run["label"]: run["spans"] for run in data["runs"]}
    assert runs["ita/main"] == [[0, 1, 0, 3, 4, 2], [], [0, 1, 3, 1, 2, 0]]
    assert runs["text_crf/main"] == [0, [0, 1, 0], 0]
    assert [data["runs"][place]["label"] for place in data["pair"]] == [
        "ita/main",
        "text_crf/main",
    ]
    assert data["images"]["1"] == {
        "path": "images/1.jpg",
        "status": "missing",
        "reason": "no such file",
        "size": [10, 20],
        "captions": {"blip": [f"a man {HOSTILE}"]},
        "ocr": {"words": [{"text": "EXIT", "score": None}]},
    }


def test_without_samples_and_gallery_tweets_are_numbered(tmp_path: Path) -> None:
    [data] = browser_data(read_systems(make_job(tmp_path).metrics), {}, {})
    assert [tweet[0] for tweet in data["tweets"]] == ["1", "2", "3"]
    assert data["images"] is None


def test_pictures_of_tweets_on_which_systems_differ_come_first(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    other = [FIRST[0], SECOND[1], FIRST[2]]
    same = [SECOND[0], SECOND[1], FIRST[2]]
    paths = [write_tagged(tmp_path / "x", "ita", other), write_tagged(tmp_path / "x", "acn", same)]
    records = [gallery_record(str(i)) for i in range(3)]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "gallery.jsonl").write_text(text, encoding="utf-8")
    for limit, expected in ((1, {"0"}), (2, {"0", "1"}), (3, {"0", "1", "2"}), (0, set())):
        [data] = browser_data(read_systems(paths), {}, job.galleries, limit)
        assert {i for i, record in data["images"].items() if "thumbnail" in record} == expected


def test_files_about_other_tweets_are_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    systems = read_systems(job.metrics)
    others = [replace(SAMPLES[0], tokens=["Bob", "Lee", "in", "Rome"]), *SAMPLES[1:]]
    other = write_tagged(tmp_path, "acn", FIRST, samples=others)
    with pytest.raises(DataError, match=r"acn_main.*: other tweets or gold tags .* toy"):
        browser_data(read_systems([*job.metrics, other]), {}, {})
    (tmp_path / "short.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="other tweets"):
        browser_data(systems, {"toy": tmp_path / "short.jsonl"}, {})
    line = json.dumps(gallery_record("0"))
    (tmp_path / "short.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match="2 images of the tweets are not in it"):
        browser_data(systems, {}, {"toy": tmp_path / "short.jsonl"})
    (tmp_path / "short.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"short\.jsonl:1: not a line of"):
        browser_data(systems, {}, {"toy": tmp_path / "short.jsonl"})


def test_a_table_is_shown_by_its_own_header(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("system\tf1_mean\tp\tnote\tnone\nita\t1.5\t\t<b>\t\nacn\tnan\t.1\tx\tnan\n")
    shown = table_html(read_tsv(path, ["system"]), "A & B", is_raw=True)
    Outline(shown)
    assert '<th scope="col" class="number"><button type="button">f1 mean</button></th>' in shown
    first = '<tr><th scope="row">ita</th><td class="number">1.5</td><td class="number">–</td>'
    assert f"{first}<td>&lt;b&gt;</td></tr>" in shown
    assert '<th scope="row">acn</th><td class="number">–</td>' in shown
    assert "none" not in shown and "A &amp; B" in shown
    with pytest.raises(DataError, match="delta not among system, f1_mean"):
        read_tsv(path, ["system", "delta"])
    path.write_text("a\tb\n1\n")
    with pytest.raises(DataError, match=r"t\.tsv:2: expected 2 cells, got 1"):
        read_tsv(path)
    with pytest.raises(MissingFileError, match=r"none\.tsv"):
        read_tsv(tmp_path / "none.tsv")


def test_significance_follows_the_adjusted_p() -> None:
    columns = ("dataset", "comparison", "delta", "low", "high", "p")
    row = dict(zip(columns, ("d", "a/main - b/main", "2", "1", "3", "0.01"), strict=True))
    for adjusted, color in ((None, "#0072B2"), ("0.2", "white"), ("0.04", "#0072B2")):
        extra = {} if adjusted is None else {"p_holm": adjusted}
        figure = draw_differences(Table((*columns, *extra), [row | extra]))
        [dot] = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert dot.get_markerfacecolor() == color
        assert f"p {(adjusted or '0.01')[1:].ljust(4, '0')}" in figure.axes[0].texts[0].get_text()


def test_figures_hold_every_system_and_say_when_there_is_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    systems, gaps = read_systems(job.metrics), read_tsv(job.intervals)
    figure = draw_f1(gaps, [Ceiling("toy", "words", 50.0), Ceiling("other", "x", 1.0)])
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["text_crf/main", "ita/main"]
    assert "words" in [text.get_text() for text in figure.axes[0].texts]
    types = draw_types(systems)
    titles = [axes.get_title(loc="left") for axes in types.axes]
    assert sorted(titles) == ["LOC", "MISC", "ORG", "PER"]
    assert len(draw_mentions(systems).axes) >= 2
    names = [axes.get_title(loc="left") for axes in draw_slices(systems).axes]
    assert names == ["with_image", "without_image", "with_handle", "without_handle"]
    for empty in (draw_types([]), draw_differences(Table(gaps.columns, gaps.rows[:1]))):
        assert empty.axes == [] and empty.texts[0].get_text()


def test_curves_of_two_entries_of_a_system_stand_apart(tmp_path: Path) -> None:
    paths = [write_tagged(tmp_path, "ita", FIRST, run=run) for run in ("big", "small")]
    paths.append(write_tagged(tmp_path, "ita", SECOND, "shuffled", run="big-shuffled"))
    metrics = json.loads(paths[0].read_text())
    metrics["views"]["text"] = metrics["views"]["main"]
    paths[0].write_text(json.dumps(metrics))
    systems = read_systems(paths)
    assert "ita:big/text_view" in [system.label for system in systems]
    curves, n_without = read_curves(systems)
    # The text view is the training of main and has no curve of its own.
    assert [(c.system, c.variant) for c in curves] == [
        ("ita:big", "main"),
        ("ita:big", "shuffled"),
        ("ita:small", "main"),
    ]
    panels = {axes.get_title(loc="left"): axes for axes in draw_curves(curves).axes}
    assert [len(panels[name].lines) for name in ("ita:big", "ita:small")] == [2, 1]
    assert n_without == 0
    # A control is named also where it is alone.
    [axes, _] = draw_curves([curve for curve in curves if curve.variant == "shuffled"]).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["shuffled"]
    assert panels["ita:small"].get_legend() is None


def test_runs_without_a_learning_curve_are_counted(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    assert words.WITHOUT_CURVE.format(1) not in page_of(write_report(job))
    job.metrics[0].with_name("metrics.jsonl").unlink()
    curves, n_without = read_curves(read_systems(job.metrics))
    assert [curve.system for curve in curves] == ["text_crf"] and n_without == 1
    assert words.WITHOUT_CURVE.format(1) in page_of(write_report(job))
    job.metrics[1].with_name("metrics.jsonl").unlink()
    assert words.WITHOUT_CURVE.format(2) in page_of(write_report(job))


def test_a_corpus_without_entities_and_a_lone_control_are_drawn(tmp_path: Path) -> None:
    samples = [replace(sample, tags=["O"] * len(sample.tokens)) for sample in SAMPLES]
    nothing = [sample.tags or [] for sample in samples]
    some = [["B-PER"] + ["O"] * (len(tags) - 1) for tags in nothing]
    paths = [
        write_tagged(tmp_path, "text_crf", nothing, samples=samples),
        write_tagged(tmp_path, "ita", nothing, "shuffled", samples=samples),
    ]
    for name, chosen in {"nothing": paths, "control": paths[1:]}.items():
        root = tmp_path / name
        root.mkdir()
        page = page_of(write_report(tabulated_job(root, chosen)))
        Outline(page)
        assert page.count("<figure>") == len(words.FIGURES) and "ita" in page
    root = tmp_path / "spurious"
    paths.append(write_tagged(root, "ita", some, run="ita", samples=samples))
    page = page_of(write_report(tabulated_job(root, paths)))
    assert page.count("<figure>") == len(words.FIGURES)


def test_variants_are_explained(written: list[Path]) -> None:
    page = page_of(written)
    assert words.VARIANTS_TITLE in page
    # The choice of an epoch can be left out; no training is stopped early.
    assert "selection: last" in page and "stopped" not in words.SCORES
    assert set(VARIANT_ORDER) < set(words.VARIANTS)
    assert all(f"<dt>{html.escape(name)}</dt>" in page for name in words.VARIANTS)
    gaps = Table(COLUMNS, [dict(zip(COLUMNS, ("d", "a/main - a/blank", *"1111"), strict=True))])
    [title] = [part.get_suptitle() for part in draw_differences(gaps).subfigs]
    assert title.removeprefix("d: ") in words.FIGURES["differences"][1]


def test_twelve_systems_and_many_columns_stay_apart() -> None:
    lines = [f"system_{i}/main" for i in range(14)]
    columns = [f"column{i}" for i in range(MAX_COLUMNS + 2)]
    dots = {(line, column): Dot(50.0) for line in lines for column in columns}
    figure = draw_dot_grids([DotGrid("d", lines, columns, dots)], "F1")
    figure.canvas.draw()
    assert len(figure.axes) == len(columns)
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_yticklabels()]
    for above, below in pairwise(boxes):
        assert not above.overlaps(below)


def test_a_corpus_is_counted_and_linked(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    counts = {"tweets": 2, "tokens": 9, "entities": 3, "types": {"PER": 3}, "images": {"ok": 2}}
    text = json.dumps({"train": counts, "test": counts | {"images": {"missing": 2}}})
    (folder / "stats.json").write_text(text, encoding="utf-8")
    (folder / "audit.html").write_text("", encoding="utf-8")
    shown = corpora_html({"toy": folder}, tmp_path / "report")
    # Another target's page would be linked or not by who comes first.
    (folder / "degradation.html").write_text("", encoding="utf-8")
    assert corpora_html({"toy": folder}, tmp_path / "report") == shown
    assert 'href="../toy/audit.html"' in shown
    assert shown.index(">train<") < shown.index(">test<") and "images missing" in shown
    with pytest.raises(MissingFileError, match=r"stats\.json"):
        corpora_html({"toy": tmp_path}, tmp_path)


def test_ceilings_are_checked() -> None:
    assert parse_ceilings(["d:words=54"])[0].dataset == "d"
    assert parse_ceilings(["words=54.5"])[0].f1 == 54.5
    for wrong in ("words", "words=x", "=54", "d:=5", "words=540"):
        with pytest.raises(ConfigError, match="DATASET"):
            parse_ceilings([wrong])
