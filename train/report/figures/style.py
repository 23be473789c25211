"""How all figures look, and how they are saved: equal input gives equal bytes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from extract.core.files import atomic_path

# Okabe and Ito 2008: told apart by colour-blind readers too. Grey and brown: the 8th and 9th.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F",
    "#8C564B",
)  # fmt: skip
MARKERS = {"main": "o", "text_view": "s", "shuffled": "X", "blank": "^"}
DASHES = {"main": "-", "text_view": "-.", "shuffled": "--", "blank": ":"}
OTHER_MARKER, OTHER_DASHES = "D", (0, (1, 1, 4, 1))
"""Of variants without one role."""

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 9,
    "svg.hashsalt": "mner",  # else element ids are random
    # A picture inside a page cannot use the page's fonts.
    "svg.fonttype": "path",
}


def marker_of(variant: str) -> str:
    """Return the marker of a variant."""
    return MARKERS.get(variant, OTHER_MARKER)


def colours_of(systems: Sequence[str]) -> dict[str, str]:
    """Return one colour a system, in order of appearance."""
    names = list(dict.fromkeys(systems))
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def draw_note(text: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(6.4, 1.0))
        figure.text(0.02, 0.5, text, va="center", wrap=True)
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write PNG and SVG without dates; return their paths."""
    paths = []
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        path = stem.with_name(stem.name + suffix)
        # SVG ids follow the settings at this moment, not those when drawn.
        with atomic_path(path) as tmp, plt.rc_context(STYLE):
            figure.savefig(tmp, format=suffix[1:], dpi=150, metadata=metadata)
        paths.append(path)
    plt.close(figure)
    return paths
