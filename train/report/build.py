"""The report folder: figures as PNG and SVG, and the page with everything inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from extract.core.files import write_text
from train.comparing.results_page import LEGEND, PUBLISHED, published_columns, score_columns
from train.comparing.results_table import ResultRow
from train.comparing.tables import read_table
from train.measures.slices import ALL
from train.report import words
from train.report.browser import MAX_IMAGES, browser_data, data_script
from train.report.corpora import corpora_html
from train.report.figures import intervals, slices
from train.report.figures.ceilings import Ceiling
from train.report.figures.learning_curves import Curve, draw_curves, read_curves
from train.report.figures.style import save_figure
from train.report.page import (
    FigureBlock,
    Section,
    definitions_html,
    figure_html,
    folded,
    render_page,
)
from train.report.runs import System, read_systems
from train.report.tables import Table, read_tsv, table_html

PAGE = "report.html"
CSS_PX_PER_INCH = 96
SLICE = "slice"
SUMMARY_COLUMNS = ("dataset", "system", "variant", SLICE, "f1_mean")


@dataclass(frozen=True)
class ReportJob:
    """What one `report` is asked to do."""

    summary: Path
    intervals: Path
    out: Path
    """Folder to write."""
    metrics: Sequence[Path] = ()
    """metrics.json files; the predictions lie beside them, and metrics.jsonl may."""
    table: Path | None = None
    """Table of all systems with published numbers; the summary stands where there is none."""
    samples: Mapping[str, Path] = field(default_factory=dict)
    """Dataset -> the evaluated samples."""
    galleries: Mapping[str, Path] = field(default_factory=dict)
    """Dataset -> file of `python -m extract gallery`."""
    corpora: Mapping[str, Path] = field(default_factory=dict)
    """Dataset -> its folder of results."""
    ceilings: Sequence[Ceiling] = ()
    max_images: int = MAX_IMAGES


def write_report(job: ReportJob) -> list[Path]:
    """Write figures and page; return their paths, the page last.

    Raises:
        MissingFileError: an input is absent.
        DataError: a table has other columns, or files are about different tweets.
    """
    summary = read_tsv(job.summary, SUMMARY_COLUMNS)
    gaps = read_tsv(job.intervals, intervals.COLUMNS)
    systems = read_systems(job.metrics)
    job.out.mkdir(parents=True, exist_ok=True)
    blocks = []
    curves, n_without = read_curves(systems)
    for name, figure in draw_figures(gaps, systems, curves, job.ceilings).items():
        title, caption = words.FIGURES[name]
        if name == "learning_curves" and n_without:
            caption += words.WITHOUT_CURVE.format(n_without)
        width_px = round(CSS_PX_PER_INCH * figure.get_figwidth())
        files = save_figure(figure, job.out / name)
        blocks.append(FigureBlock(title, caption, files, width_px))
    data = browser_data(systems, job.samples, job.galleries, job.max_images) if systems else []
    results = _results(summary, gaps, read_table(job.table, ResultRow) if job.table else [])
    sections = [
        Section("results", "Results", results),
        Section("figures", "Figures", "\n".join(map(figure_html, blocks))),
        Section("browse", "Errors", words.BROWSER if data else words.NO_RUNS),
    ]
    if job.corpora:
        sections.append(Section("corpora", "Corpora", corpora_html(job.corpora, job.out)))
    page = render_page(words.TITLE, sections, [data_script(dataset) for dataset in data])
    write_text(job.out / PAGE, page)
    return [*(path for block in blocks for path in block.files), job.out / PAGE]


def draw_figures(
    gaps: Table,
    systems: Sequence[System],
    curves: Sequence[Curve],
    ceilings: Sequence[Ceiling] = (),
) -> dict[str, Figure]:
    """Return name -> figure, all of `words.FIGURES`; one without data says so."""
    return {
        "f1_intervals": intervals.draw_f1(gaps, ceilings),
        "differences": intervals.draw_differences(gaps),
        "f1_by_type": slices.draw_types(systems),
        "recall_by_mention": slices.draw_mentions(systems),
        "f1_by_evidence": slices.draw_evidence(systems),
        "f1_by_slice": slices.draw_slices(systems),
        "learning_curves": draw_curves(curves),
    }


def _results(summary: Table, gaps: Table, rows: Sequence[ResultRow]) -> str:
    """Return the first section: one table of systems, the details, and what they mean."""
    slices = {row[SLICE] for row in summary.rows}
    parts = [words.SCORES, folded(words.VARIANTS_TITLE, definitions_html(words.VARIANTS))]
    if rows:
        parts.append(table_html(by_column(rows, score_columns), words.SYSTEMS))
        parts.append(folded(words.LEGEND, definitions_html(LEGEND)))
        published = by_column(rows, published_columns)
        if published.rows:
            table = table_html(published, words.PUBLISHED)
            parts.append(folded("Beside published scores", f"<p>{PUBLISHED}</p>\n{table}"))
    else:
        headline = Table(summary.columns, [row for row in summary.rows if row[SLICE] == ALL])
        parts.append(table_html(headline, words.MEANS, is_raw=True))
    parts.append(words.INTERVALS)
    parts.append(folded("Intervals and differences", table_html(gaps, words.GAPS, is_raw=True)))
    if rows or slices != {ALL}:
        by_slice = table_html(summary, words.BY_SLICE, is_raw=True)
        parts.append(folded("Scores by slice", by_slice))
    return "\n".join(parts)


def by_column(
    rows: Sequence[ResultRow], columns_of: Callable[[Sequence[ResultRow]], Mapping[str, list[str]]]
) -> Table:
    """Return columns of `train.comparing.results_page` as a table, the dataset first.

    Args:
        rows: of all datasets.
        columns_of: `score_columns` or `published_columns`.
    """
    records = []
    for row in rows:
        cells = {name: column[0] for name, column in columns_of([row]).items()}
        if cells:
            records.append({"dataset": row.dataset, **cells})
    found = columns_of(rows)
    columns = ("dataset", *found)
    return Table(columns, [{name: record.get(name, "") for name in columns} for record in records])
