"""The report folder: figures as PNG and SVG, and one HTML page that needs no other file."""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from extract.atomic import write_text
from extract.errors import ConfigError, MissingFileError
from train.figures import (
    Ceiling,
    Curve,
    draw_curves,
    draw_evidence,
    draw_intervals,
    save_figure,
)
from train.summary import IntervalRow, SummaryRow, read_table, shown

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Results</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0 2rem; }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
tr.all td {{ font-weight: 600; }}
img {{ max-width: 100%; }}
</style></head><body>
<h1>Results</h1>
<p>Entity-level micro scores in percent, read as conlleval does, mean over seeds. Intervals: 95 %
percentile bootstrap over tweets; p: two-sided paired bootstrap.</p>
<h2>Scores</h2>
{summary}
<h2>Intervals and differences</h2>
{intervals}
{figures}
</body></html>
"""


def parse_ceilings(texts: Sequence[str]) -> list[Ceiling]:
    """Return the ceilings of `--ceiling [DATASET:]LABEL=F1` arguments.

    Raises:
        ConfigError: not of this form, or not a percentage.
    """
    ceilings = []
    for text in texts:
        name, separator, number = text.rpartition("=")
        dataset, _, label = name.rpartition(":")
        try:
            f1 = float(number)
        except ValueError:
            f1 = -1.0
        if not separator or not label or not 0 <= f1 <= 100:
            raise ConfigError(
                f"--ceiling {text}: expected [DATASET:]LABEL=F1 in percent, e.g. sample:words=54."
            )
        ceilings.append(Ceiling(dataset, label, f1))
    return ceilings


def read_curves(paths: Sequence[Path]) -> list[Curve]:
    """Return the learning curves beside metrics.json files.

    Raises:
        MissingFileError: metrics.json, or metrics.jsonl beside it, is absent.
    """
    curves = []
    for path in map(Path, paths):
        lines = path.parent / "metrics.jsonl"
        for needed in (path, lines):
            if not needed.is_file():
                raise MissingFileError(f"{needed}: no such file; `fit` and `evaluate` write them.")
        metrics = json.loads(path.read_text(encoding="utf-8"))
        history = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        identity = (metrics[key] for key in ("dataset", "system", "variant", "seed"))
        curves.append(Curve(*identity, history))
    return curves


def write_report(
    out: Path, summary: Path, intervals: Path, metrics: Sequence[Path], ceilings: Sequence[Ceiling]
) -> list[Path]:
    """Write figures and summary.html; return their paths.

    Raises:
        MissingFileError: an input is absent.
        DataError: a table has other columns.
    """
    rows = read_table(summary, SummaryRow)
    gaps = read_table(intervals, IntervalRow)
    figures = {
        "f1_intervals": draw_intervals(gaps, ceilings),
        "f1_by_evidence": draw_evidence(rows, ceilings),
        "learning_curves": draw_curves(read_curves(metrics)) if metrics else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths += save_figure(figure, out / name)
    page = render_page(rows, gaps, [path for path in paths if path.suffix == ".png"])
    write_text(out / "summary.html", page)
    return [*paths, out / "summary.html"]


def render_page(
    rows: Sequence[SummaryRow], gaps: Sequence[IntervalRow], images: Sequence[Path]
) -> str:
    """Return the HTML page with both tables and the pictures inside it."""
    figures = []
    for path in images:
        data = base64.b64encode(path.read_bytes()).decode()
        title = html.escape(path.stem.replace("_", " "))
        source = f"data:image/png;base64,{data}"
        figures.append(f'<h2>{title}</h2>\n<img alt="{title}" src="{source}">')
    return _PAGE.format(
        summary=_table(SummaryRow, rows),
        intervals=_table(IntervalRow, gaps),
        figures="\n".join(figures),
    )


def _table(row_type: type, rows: Sequence[Any]) -> str:
    columns = list(row_type.__dataclass_fields__)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "\n".join(_row(columns, row) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _row(columns: Sequence[str], row: Any) -> str:
    cells = []
    for name in columns:
        value = getattr(row, name)
        kind = "" if isinstance(value, str) else ' class="n"'
        cells.append(f"<td{kind}>{html.escape(shown(name, value))}</td>")
    emphasis = ' class="all"' if getattr(row, "evidence", "") == "all" else ""
    return f"<tr{emphasis}>{''.join(cells)}</tr>"
