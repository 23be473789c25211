"""Figures of the report: F1 with intervals, F1 by evidence, learning curves.

Equal input gives equal bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from extract.atomic import atomic_path
from train.metrics import ALL
from train.summary import IntervalRow, SummaryRow

# Okabe and Ito 2008: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = {"main": "o", "text_view": "s", "shuffled": "x", "blank": "^"}
HATCHES = {"main": "", "text_view": "..", "shuffled": "////", "blank": "\\\\\\\\"}
OPACITY = {"main": 1.0, "text_view": 0.75, "shuffled": 0.45, "blank": 0.3}
DASHES = {"main": "-", "text_view": "-.", "shuffled": "--", "blank": ":"}

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "mner",  # else element ids are random
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Ceiling:
    """A score that a reader of only some evidence can reach at most."""

    dataset: str
    """Empty for every dataset."""
    label: str
    f1: float
    """Percent."""


@dataclass(frozen=True)
class Curve:
    """The epochs of one run."""

    dataset: str
    system: str
    variant: str
    seed: int
    history: list[dict[str, Any]]
    """Lines of metrics.jsonl."""


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write PNG and SVG without dates; return their paths."""
    paths = []
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        path = stem.with_name(stem.name + suffix)
        # Hatches and SVG ids follow the settings at this moment, not those when drawn.
        with atomic_path(path) as tmp, plt.rc_context(_STYLE):
            figure.savefig(tmp, format=suffix[1:], dpi=150, metadata=metadata)
        paths.append(path)
    plt.close(figure)
    return paths


def colours_of(systems: Sequence[str]) -> dict[str, str]:
    """Return one colour a system, in order of appearance."""
    names = list(dict.fromkeys(systems))
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def draw_intervals(rows: Sequence[IntervalRow], ceilings: Sequence[Ceiling] = ()) -> Figure:
    """Return one dot and 95 % interval for each system and variant, a panel a dataset."""
    means = [row for row in rows if " - " not in row.comparison]
    datasets = list(dict.fromkeys(row.dataset for row in means))
    colours = colours_of([row.comparison.rpartition("/")[0] for row in means])
    most = max(sum(row.dataset == name for row in means) for name in datasets)
    height = 0.45 * most + 1.7

    def panel(axes: Axes, dataset: str) -> None:
        mine = [row for row in means if row.dataset == dataset]
        for y, row in enumerate(mine):
            system, _, variant = row.comparison.rpartition("/")
            errors = [[row.delta - row.low], [row.high - row.delta]]
            axes.errorbar(
                row.delta,
                y,
                xerr=errors,
                fmt=MARKERS.get(variant, "o"),
                color=colours[system],
                capsize=3,
            )
            axes.annotate(
                f"{row.delta:.1f}",
                (row.delta, y),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(mine)), [row.comparison for row in mine])
        axes.set_ylim(len(mine) - 0.4, -0.7)
        axes.set_xlabel("entity F1 (%), 95 % bootstrap interval over tweets")
        _draw_ceilings(axes, dataset, ceilings, vertical=True)
        axes.grid(axis="x", alpha=0.3)

    return _panels(datasets, panel, width=6.4, height=height)


def draw_evidence(rows: Sequence[SummaryRow], ceilings: Sequence[Ceiling] = ()) -> Figure | None:
    """Return bars of F1 by kind of evidence; None when no corpus names kinds."""
    kinds_of = {
        name: list(dict.fromkeys(r.evidence for r in rows if r.dataset == name))
        for name in dict.fromkeys(row.dataset for row in rows)
    }
    datasets = [name for name, kinds in kinds_of.items() if set(kinds) - {ALL}]
    if not datasets:
        return None
    colours = colours_of([row.system for row in rows])

    def panel(axes: Axes, dataset: str) -> None:
        mine = [row for row in rows if row.dataset == dataset]
        bars = list(dict.fromkeys((row.system, row.variant) for row in mine))
        width = 0.84 / len(bars)
        for rank, (system, variant) in enumerate(bars):
            scores = {r.evidence: r for r in mine if (r.system, r.variant) == (system, variant)}
            for group, kind in enumerate(kinds_of[dataset]):
                if kind in scores:
                    sd = scores[kind].f1_sd
                    axes.bar(
                        group + (rank - (len(bars) - 1) / 2) * width,
                        scores[kind].f1_mean,
                        width * 0.92,
                        yerr=sd if sd == sd else None,
                        color=colours[system],
                        alpha=OPACITY.get(variant, 1.0),
                        hatch=HATCHES.get(variant, ""),
                        edgecolor="white",
                        error_kw={"elinewidth": 0.8, "capsize": 1.5},
                    )
        axes.set_xticks(range(len(kinds_of[dataset])), kinds_of[dataset])
        axes.set_ylabel("entity F1 (%), mean and sd over seeds")
        axes.set_ylim(0, 105)
        _draw_ceilings(axes, dataset, ceilings, vertical=False)
        axes.grid(axis="y", alpha=0.3)
        handles = [
            Patch(
                facecolor=colours[system],
                alpha=OPACITY.get(variant, 1.0),
                hatch=HATCHES.get(variant, ""),
                edgecolor="white",
                label=f"{system}/{variant}",
            )
            for system, variant in bars
        ]
        axes.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False
        )

    n_kinds = max(len(kinds_of[name]) for name in datasets)
    return _panels(datasets, panel, width=4.0 + 1.6 * n_kinds, height=4.2, columns=1)


def draw_curves(curves: Sequence[Curve]) -> Figure:
    """Return training loss and valid F1 by epoch, a line a seed, a pair of panels a dataset."""
    datasets = list(dict.fromkeys(curve.dataset for curve in curves))
    colours = colours_of([curve.system for curve in curves])
    with plt.rc_context(_STYLE):
        figure, grid = plt.subplots(
            len(datasets), 2, figsize=(11, 3.6 * len(datasets)), squeeze=False, layout="constrained"
        )
        for row, dataset in zip(grid, datasets, strict=True):
            mine = [curve for curve in curves if curve.dataset == dataset]
            for axes, key, label in (
                (row[0], "loss", "training loss"),
                (row[1], "score", "entity F1 on valid (%)"),
            ):
                for curve in mine:
                    axes.plot(
                        [line["epoch"] for line in curve.history],
                        [line[key] for line in curve.history],
                        DASHES.get(curve.variant, "-"),
                        color=colours[curve.system],
                        alpha=0.8,
                        linewidth=1.2,
                        marker="." if len(curve.history) < 30 else None,
                    )
                axes.set_xlabel("epoch")
                axes.set_ylabel(label)
                axes.set_title(dataset or "dataset", loc="left", fontsize=10, fontweight="bold")
                axes.xaxis.get_major_locator().set_params(integer=True)
                axes.grid(alpha=0.3)
            pairs = dict.fromkeys((curve.system, curve.variant) for curve in mine)
            handles = [
                Line2D([], [], color=colours[s], linestyle=DASHES.get(v, "-"), label=f"{s}/{v}")
                for s, v in pairs
            ]
            row[1].legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=(1.01, 1),
                fontsize=8,
                frameon=False,
            )
    return figure


def _panels(
    datasets: Sequence[str],
    panel: Callable[[Axes, str], None],
    *,
    width: float,
    height: float,
    columns: int | None = None,
) -> Figure:
    """Return a figure with one titled panel a dataset."""
    columns = columns or min(2, len(datasets))
    n_rows = -(-len(datasets) // columns)
    with plt.rc_context(_STYLE):
        figure, grid = plt.subplots(
            n_rows,
            columns,
            figsize=(width * columns, height * n_rows),
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat[len(datasets) :]:
            axes.set_visible(False)
        for axes, dataset in zip(grid.flat, datasets, strict=False):
            panel(axes, dataset)
            axes.set_title(dataset or "dataset", loc="left", fontsize=10, fontweight="bold", pad=14)
    return figure


def _draw_ceilings(
    axes: Axes, dataset: str, ceilings: Sequence[Ceiling], *, vertical: bool
) -> None:
    """Draw labelled lines at the ceilings of a dataset; beside bars, at the first group only."""
    style = {"color": "0.4", "linestyle": (0, (4, 3)), "linewidth": 0.9}
    small = {"fontsize": 7, "color": "0.3"}
    for ceiling in ceilings:
        if ceiling.dataset not in ("", dataset):
            continue
        text = f"{ceiling.label} {ceiling.f1:.0f}"
        if vertical:
            axes.axvline(ceiling.f1, **style)
            place = axes.get_xaxis_transform()
            axes.text(ceiling.f1, 1.005, text, transform=place, ha="center", va="bottom", **small)
        else:
            axes.hlines(ceiling.f1, -0.6, 0.48, **style)
            axes.text(-0.64, ceiling.f1, text, ha="right", va="center", **small)
            axes.set_xlim(left=-1.35)
