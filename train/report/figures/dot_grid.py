"""Dots with whiskers: one line a system, one panel a group, one row of panels a dataset.

Lines are named at the left instead of by a legend, so that twelve systems are as legible as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.report.figures.style import STYLE

MAX_COLUMNS = 5
"""Panels side by side; more go into further rows."""

_INCH_PER_LINE, _INCH_PER_LETTER = 0.30, 0.066
_LEAST_COLUMN_INCHES, _MOST_COLUMN_INCHES, _PAGE_INCHES = 1.5, 5.2, 10.0


@dataclass(frozen=True)
class Dot:
    """One value with its whiskers (NaN: none)."""

    value: float
    low: float = math.nan
    high: float = math.nan
    text: str = ""
    """Above the dot; empty: the value."""
    color: str = "#0072B2"
    marker: str = "o"
    is_filled: bool = True


@dataclass(frozen=True)
class DotGrid:
    """The panels of one dataset."""

    title: str
    lines: Sequence[str]
    columns: Sequence[str]
    dots: Mapping[tuple[str, str], Dot]
    """(line, column) -> dot; a pair that is not there stays empty."""
    marks: Mapping[str, float] = field(default_factory=dict)
    """Label -> place of a dashed vertical line."""


def draw_dot_grids(grids: Sequence[DotGrid], xlabel: str) -> Figure:
    """Return a figure with one row of panels a grid, which share their scale."""
    parts = [part for grid in grids for part in _wrapped(grid)]
    letters = max(len(line) for part in parts for line in part.lines)
    n_columns = max(len(part.columns) for part in parts)
    label_inches = letters * _INCH_PER_LETTER + 0.3
    room = (_PAGE_INCHES - label_inches) / n_columns
    width = label_inches + n_columns * min(max(room, _LEAST_COLUMN_INCHES), _MOST_COLUMN_INCHES)
    heights = [len(part.lines) * _INCH_PER_LINE + 1.05 + 0.16 * bool(part.marks) for part in parts]
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, sum(heights)), layout="constrained")
        rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for row, part in zip(rows, parts, strict=True):
            row.suptitle(part.title, x=0.01, ha="left", fontsize=10, fontweight="bold")
            axes = row.subplots(1, len(part.columns), squeeze=False, sharey=True, sharex=True)[0]
            for panel, column in zip(axes, part.columns, strict=True):
                _draw_panel(panel, part, column)
            row.supxlabel(xlabel, fontsize=9)
    return figure


def _wrapped(grid: DotGrid) -> list[DotGrid]:
    """Return a grid in parts that are not too wide."""
    starts = range(0, len(grid.columns), MAX_COLUMNS)
    return [
        DotGrid(
            grid.title if start == 0 else f"{grid.title} (continued)",
            grid.lines,
            grid.columns[start : start + MAX_COLUMNS],
            grid.dots,
            grid.marks,
        )
        for start in starts
    ]


def _draw_panel(axes: Axes, grid: DotGrid, column: str) -> None:
    """Draw one panel: first line on top."""
    for y, line in enumerate(grid.lines):
        dot = grid.dots.get((line, column))
        if dot is not None:
            _draw_dot(axes, y, dot)
    axes.set_yticks(range(len(grid.lines)), grid.lines)
    axes.set_ylim(len(grid.lines) - 0.5, -0.75)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.14)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(column, loc="left", pad=16 if grid.marks else 5)
    place = axes.get_xaxis_transform()
    for label, x in grid.marks.items():
        axes.axvline(x, color="0.4", linestyle=(0, (4, 3)), linewidth=0.9, zorder=0)
        if label:
            axes.text(
                x, 1.005, label, transform=place, ha="center", va="bottom", fontsize=7, color="0.3"
            )


def _draw_dot(axes: Axes, y: int, dot: Dot) -> None:
    if not math.isnan(dot.low):
        axes.plot([dot.low, dot.high], [y, y], color=dot.color, linewidth=1.3, marker="|")
    axes.plot(
        dot.value,
        y,
        marker=dot.marker,
        color=dot.color,
        markerfacecolor=dot.color if dot.is_filled else "white",
        markersize=5.5,
        linestyle="none",
    )
    axes.annotate(
        dot.text or f"{dot.value:.1f}",
        (dot.value, y),
        xytext=(0, 4.5),
        textcoords="offset points",
        ha="center",
        fontsize=7,
    )
