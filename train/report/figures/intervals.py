"""F1 of every system with its interval, and the differences as a forest plot."""

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from train.report.figures.ceilings import Ceiling
from train.report.figures.dot_grid import Dot, DotGrid, draw_dot_grids
from train.report.figures.style import colours_of, draw_note, marker_of
from train.report.tables import Table, number
from train.report.words import INPUTS_PANEL

COLUMNS = ("dataset", "comparison", "delta", "low", "high", "p")
"""Of intervals.tsv that are needed here."""

ADJUSTED = "p_holm"
"""Column of p values adjusted for the number of comparisons, where the table has it."""

ALPHA = 0.05
MINUS = " - "

Row = dict[str, str]


def draw_f1(table: Table, ceilings: Sequence[Ceiling] = ()) -> Figure:
    """Return one dot and 95 % interval for each system and variant, a row of panels a dataset."""
    rows = [row for row in table.rows if MINUS not in row["comparison"]]
    if not rows:
        return draw_note("No system is evaluated.")
    colours = colours_of([_system(row) for row in rows])
    grids = []
    for dataset, mine in _by_dataset(rows).items():
        dots = {
            (row["comparison"], ""): _dot(
                row, colours[_system(row)], marker_of(row["comparison"].rpartition("/")[2])
            )
            for row in mine
        }
        marks = {c.label: c.f1 for c in ceilings if c.dataset in ("", dataset)}
        lines = [row["comparison"] for row in mine]
        grids.append(DotGrid(dataset or "dataset", lines, [""], dots, marks))
    return draw_dot_grids(grids, "entity F1 (%), 95 % bootstrap interval over tweets")


def draw_differences(table: Table) -> Figure:
    """Return every difference with its interval and a line at 0; significant ones are filled."""
    rows = [row for row in table.rows if MINUS in row["comparison"]]
    if not rows:
        return draw_note("Nothing to compare: one system without a baseline or a control.")
    grids = []
    for dataset, mine in _by_dataset(rows).items():
        for title, chosen in _parts(mine).items():
            dots = {(row["comparison"], ""): _difference(row) for row in chosen}
            lines = [row["comparison"] for row in chosen]
            grids.append(DotGrid(f"{dataset or 'dataset'}: {title}", lines, [""], dots, {"": 0.0}))
    return draw_dot_grids(grids, "difference in F1 points, 95 % paired bootstrap interval")


def p_of(row: Row) -> float | None:
    """Return the adjusted p of a difference where there is one, else the plain p."""
    return number(row.get(ADJUSTED, "") or row["p"])


def _parts(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return rows by what they say: between systems, or what an input of a system buys."""
    parts: dict[str, list[Row]] = {"between systems": [], INPUTS_PANEL: []}
    for row in rows:
        first, _, second = row["comparison"].partition(MINUS)
        is_own = first.rpartition("/")[0] == second.rpartition("/")[0]
        parts[INPUTS_PANEL if is_own else "between systems"].append(row)
    return {title: chosen for title, chosen in parts.items() if chosen}


def _difference(row: Row) -> Dot:
    p = p_of(row)
    is_sure = p is not None and p < ALPHA
    text = f"{float(row['delta']):+.2f}" + ("" if p is None else f"  p {_short(p)}")
    color = "0.45" if not is_sure else "#0072B2" if float(row["delta"]) > 0 else "#D55E00"
    return _dot(row, color, "o", text=text, is_filled=is_sure)


def _short(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _dot(row: Row, color: str, marker: str, *, text: str = "", is_filled: bool = True) -> Dot:
    value, low, high = (float(row[name]) for name in ("delta", "low", "high"))
    return Dot(value, low, high, text, color, marker, is_filled)


def _system(row: Row) -> str:
    return row["comparison"].rpartition("/")[0]


def _by_dataset(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["dataset"], []).append(row)
    return found
