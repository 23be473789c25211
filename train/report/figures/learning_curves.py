"""Training loss and F1 on valid by epoch: a column a system, a line a training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from train.comparing.results import MAIN
from train.report.figures.style import (
    COLOURS,
    DASHES,
    OTHER_DASHES,
    STYLE,
    draw_note,
)
from train.report.runs import System
from train.training.run_folder.names import HISTORY

PANELS = (("loss", "training loss"), ("score", "F1 on valid (%)"))
MAX_COLUMNS = 4
"""Systems side by side; more go into further rows."""

_PART_INCHES, _COLUMN_INCHES = 4.4, 2.9


@dataclass(frozen=True)
class Curve:
    """The epochs of one run."""

    dataset: str
    system: str
    """As the tables name it: `system:entry` where several entries train it."""
    variant: str
    seed: int
    history: list[dict[str, Any]]
    """Lines of metrics.jsonl."""


def read_curves(systems: Sequence[System]) -> tuple[list[Curve], int]:
    """Return the learning curves that lie beside the predictions, and how many runs have none.

    A run has none where it was scored into another folder than that of its training, or where its
    weights were imported. The text view of a run is the same training: it has no curve of its own.
    """
    trainings: dict[Path, tuple[System, int]] = {}
    for system in systems:
        for seed in system.seeds:
            trainings.setdefault(seed.predictions.parent, (system, seed.seed))
    curves = []
    for folder, (system, seed) in trainings.items():
        path = folder / HISTORY
        if path.is_file():
            history = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            curves.append(Curve(system.dataset, system.name, system.variant, seed, history))
    return curves, len(trainings) - len(curves)


def draw_curves(curves: Sequence[Curve]) -> Figure:
    """Return the figure; variants of a system have their own colour and dash in all columns."""
    if not curves:
        return draw_note("No run has a learning curve.")
    parts = _parts(curves)
    variants = list(dict.fromkeys(sorted(curve.variant for curve in curves)))
    variants.sort(key=lambda variant: variant != MAIN)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(variants)}
    n_columns = max(len(systems) for _, systems in parts)
    size = (max(6.4, _COLUMN_INCHES * n_columns), _PART_INCHES * len(parts))
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=size, layout="constrained")
        rows = figure.subfigures(len(parts), 1, squeeze=False)[:, 0]
        for row, (dataset, systems) in zip(rows, parts, strict=True):
            row.suptitle(dataset or "dataset", x=0.01, ha="left", fontsize=10, fontweight="bold")
            grid = row.subplots(len(PANELS), len(systems), squeeze=False, sharex=True, sharey="row")
            for column, system in enumerate(systems):
                mine = [c for c in curves if (c.dataset, c.system) == (dataset, system)]
                grid[0, column].set_title(system, loc="left")
                for axes, (key, _) in zip(grid[:, column], PANELS, strict=True):
                    _draw_panel(axes, mine, key, colours)
                grid[-1, column].set_xlabel("epoch")
                _add_legend(grid[0, column], mine, colours)
            for axes, (_, label) in zip(grid[:, 0], PANELS, strict=True):
                axes.set_ylabel(label)
    return figure


def _parts(curves: Sequence[Curve]) -> list[tuple[str, list[str]]]:
    """Return (dataset, systems) of each row of panels."""
    parts = []
    for dataset in dict.fromkeys(curve.dataset for curve in curves):
        systems = list(dict.fromkeys(c.system for c in curves if c.dataset == dataset))
        starts = range(0, len(systems), MAX_COLUMNS)
        parts += [(dataset, systems[start : start + MAX_COLUMNS]) for start in starts]
    return parts


def _draw_panel(axes: Axes, curves: Sequence[Curve], key: str, colours: dict[str, str]) -> None:
    for curve in curves:
        axes.plot(
            [line["epoch"] for line in curve.history],
            [line[key] for line in curve.history],
            linestyle=_dashes(curve.variant),
            color=colours[curve.variant],
            alpha=0.8,
            linewidth=1.2,
            marker="." if len(curve.history) < 30 else None,
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)


def _add_legend(axes: Axes, curves: Sequence[Curve], colours: dict[str, str]) -> None:
    """Name the variants of a system, unless there is nothing but main."""
    variants = [name for name in colours if any(curve.variant == name for curve in curves)]
    if variants != [MAIN]:
        handles = [
            Line2D([], [], color=colours[name], linestyle=_dashes(name), label=name)
            for name in variants
        ]
        axes.legend(handles=handles, fontsize=7, frameon=False)


def _dashes(variant: str) -> Any:
    return DASHES.get(variant, OTHER_DASHES)
