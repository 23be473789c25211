"""Scores by entity type, by slice of the tweets and by kind of mention: mean and sd over seeds."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from train.measures.slices import ALL, HANDLE_SLICES, IMAGE_SLICES, slice_order
from train.report.figures.dot_grid import Dot, DotGrid, draw_dot_grids
from train.report.figures.style import colours_of, draw_note, marker_of
from train.report.runs import System, datasets_of, mean_and_sd

_FIXED = (*IMAGE_SLICES, *HANDLE_SLICES)

MENTIONS = ("seen", "unseen", "handles", "not_handles")
"""Kinds of gold mentions whose recall is known."""

Values = Callable[[System, str], list[float]]
"""Of a system and a column: one value a seed, none where it is not known."""


def draw_types(systems: Sequence[System]) -> Figure:
    """Return F1 by entity type."""

    def values(system: System, column: str) -> list[float]:
        types = [scores.get("per_type", {}) for scores in system.scores(ALL)]
        return [found[column]["f1"] for found in types if column in found]

    def columns(system: System) -> list[str]:
        return [name for scores in system.scores(ALL) for name in scores.get("per_type", {})]

    return _draw(systems, columns, values, "entity F1 (%), mean and sd over seeds", "entity types")


def draw_evidence(systems: Sequence[System]) -> Figure:
    """Return F1 by kind of evidence, `all` first."""

    def columns(system: System) -> list[str]:
        kinds = slice_order({k for seed in system.seeds for k in seed.slices}.difference(_FIXED))
        return kinds if kinds != [ALL] else []

    return _draw(
        systems, columns, _f1, "entity F1 (%), mean and sd over seeds", "kinds of evidence"
    )


def draw_slices(systems: Sequence[System]) -> Figure:
    """Return F1 of the tweets with and without a usable image, and with and without handles."""

    def columns(system: System) -> list[str]:
        return [name for name in _FIXED if system.scores(name)]

    return _draw(systems, columns, _f1, "entity F1 (%), mean and sd over seeds", "slices")


def draw_mentions(systems: Sequence[System]) -> Figure:
    """Return recall of the mentions that the training tweets have, and of those they have not."""

    def values(system: System, column: str) -> list[float]:
        found = [scores[column] for scores in system.scores(ALL) if column in scores]
        return [scores["recall"] for scores in found if scores["n_gold"]]

    def columns(system: System) -> list[str]:
        return [name for name in MENTIONS if values(system, name)]

    label = "recall of gold entities (%), mean and sd over seeds"
    return _draw(systems, columns, values, label, "seen and unseen mentions")


def _f1(system: System, column: str) -> list[float]:
    return [scores["f1"] for scores in system.scores(column)]


def _draw(
    systems: Sequence[System],
    columns: Callable[[System], list[str]],
    values: Values,
    label: str,
    what: str,
) -> Figure:
    colours = colours_of([system.name for system in systems])
    grids = []
    for dataset in datasets_of(systems):
        mine = [system for system in systems if system.dataset == dataset]
        names = list(dict.fromkeys(name for system in mine for name in columns(system)))
        dots = {
            (system.label, name): _dot(found, colours[system.name], system.variant)
            for system in mine
            for name in names
            if (found := values(system, name))
        }
        if dots:
            lines = [system.label for system in mine]
            grids.append(DotGrid(dataset or "dataset", lines, names, dots))
    return draw_dot_grids(grids, label) if grids else draw_note(f"No {what} to tell apart.")


def _dot(values: Sequence[float], color: str, variant: str) -> Dot:
    mean, sd = mean_and_sd(values)
    return Dot(mean, mean - sd, mean + sd, color=color, marker=marker_of(variant))
