"""Drawn kinds of the type LOC."""

from collections.abc import Callable

from extract.sample.pen import Pen, Point, arc


def draw_skyline(pen: Pen) -> None:
    """Draw a row of towers of several heights, with lit windows."""
    edges = (0.0, 0.17, 0.33, 0.5, 0.68, 0.84, 1.0)
    tops = pen.rng.sample((0.06, 0.2, 0.3, 0.38, 0.48, 0.56), 6)
    colours = (pen.main, pen.second, pen.pale)
    for index, top in enumerate(tops):
        left, right = edges[index], edges[index + 1]
        pen.rect((left, top), (right, 0.98), colours[index % 3])
        if index == 2:
            pen.line([((left + right) / 2, top), ((left + right) / 2, top - 0.06)], width=0.03)
        y = top + 0.05
        while y < 0.88:
            for x in (left + 0.035, left + 0.095):
                lit = pen.light if pen.rng.random() < 0.7 else pen.ink
                pen.rect((x, y), (x + 0.04, y + 0.05), lit, is_outlined=False)
            y += 0.11


def draw_mountain(pen: Pen) -> None:
    """Draw two snowy peaks, a sun and a meadow."""
    peak = pen.wobble(0.4, 0.06)
    _sun(pen, (0.82, 0.17), 0.13)
    pen.poly([(0.4, 0.86), (0.76, 0.34), (1.0, 0.86)], pen.second)
    pen.poly([(0.76, 0.34), (0.68, 0.46), (0.75, 0.44), (0.79, 0.5), (0.82, 0.46)], pen.light)
    pen.poly([(0.0, 0.86), (peak, 0.08), (0.78, 0.86)], pen.main)
    pen.poly(
        [
            (peak, 0.08),
            (peak - 0.13, 0.33),
            (peak - 0.06, 0.3),
            (peak, 0.38),
            (peak + 0.05, 0.3),
            (peak + 0.12, 0.33),
        ],
        pen.light,
    )
    pen.poly(
        [(0.0, 0.84), *arc((0.5, 0.86), (0.5, 0.06), (180, 360)), (1.0, 1.0), (0, 1)], pen.pale
    )


def draw_bridge(pen: Pen) -> None:
    """Draw a suspension bridge over water."""
    pen.rect((0.0, 0.74), (1.0, 1.0), pen.second)
    for y in (0.82, 0.92):
        _waves(pen, y)
    for x in (0.26, 0.74):
        pen.rect((x - 0.045, 0.1), (x + 0.045, 0.86), pen.main)
        pen.line([(x - 0.04, 0.26), (x + 0.04, 0.26)], width=0.03)
    sag = pen.wobble(0.4, 0.04)
    cable = arc((0.5, 0.12), (0.24, sag), (0, 180))
    pen.line(cable, width=0.028)
    pen.line([(0.26, 0.12), (0.0, 0.56)], width=0.028)
    pen.line([(0.74, 0.12), (1.0, 0.56)], width=0.028)
    for x, y in cable[2:-2:3]:
        pen.line([(x, y), (x, 0.6)], width=0.014)
    pen.rect((0.0, 0.57), (1.0, 0.66), pen.pale)


def draw_island(pen: Pen) -> None:
    """Draw a sandy island with a palm in the sea."""
    _sun(pen, (0.16, 0.18), 0.12)
    pen.rect((0.0, 0.7), (1.0, 1.0), pen.second)
    _waves(pen, 0.92)
    pen.oval((0.5, 0.86), (0.44, 0.18), pen.pale, degrees=(180, 360))
    lean = pen.wobble(0.6, 0.06)
    pen.limb([(0.46, 0.74), (0.5, 0.5), (lean, 0.28)], pen.pale, width=0.06)
    for reach, drop in ((-0.36, 0.16), (-0.26, -0.12), (0.3, -0.12), (0.36, 0.16), (0.06, 0.28)):
        tip = (lean + reach, 0.26 + drop)
        middle = (lean + 0.55 * reach, 0.26 + drop * 0.3 - 0.13)
        low = (lean + 0.5 * reach, 0.28 + drop * 0.4)
        pen.poly([(lean, 0.27), middle, tip, low], pen.main)


def draw_lighthouse(pen: Pen) -> None:
    """Draw a striped lighthouse on a rock, its lamp on."""
    pen.poly([(0.42, 0.18), (0.0, pen.wobble(0.06)), (0.0, 0.34)], pen.light, is_outlined=False)
    pen.poly([(0.58, 0.18), (1.0, pen.wobble(0.06)), (1.0, 0.34)], pen.light, is_outlined=False)
    pen.rect((0.0, 0.88), (1.0, 1.0), pen.second)
    pen.poly([(0.1, 0.92), (0.22, 0.8), (0.5, 0.76), (0.8, 0.82), (0.92, 0.92)], pen.pale)
    for step in range(5):
        top, low = 0.28 + 0.11 * step, 0.39 + 0.11 * step
        wide, wider = 0.11 + 0.018 * step, 0.128 + 0.018 * step
        corners = [(0.5 - wide, top), (0.5 + wide, top), (0.5 + wider, low), (0.5 - wider, low)]
        pen.poly(corners, pen.main if step % 2 == 0 else pen.light)
    pen.rect((0.36, 0.24), (0.64, 0.29), pen.ink)
    pen.rect((0.42, 0.12), (0.58, 0.24), pen.light)
    pen.poly([(0.38, 0.13), (0.5, 0.01), (0.62, 0.13)], pen.main)
    _waves(pen, 0.95)


def draw_road(pen: Pen) -> None:
    """Draw a road running to the horizon between fields."""
    _sun(pen, (pen.wobble(0.74, 0.1), 0.26), 0.14)
    pen.poly([(0.0, 0.42), (0.22, 0.2), (0.46, 0.42)], pen.second)
    pen.poly([(0.3, 0.42), (0.52, 0.28), (0.72, 0.42)], pen.second)
    pen.rect((0.0, 0.42), (1.0, 1.0), pen.main)
    pen.poly([(0.47, 0.42), (0.53, 0.42), (0.74, 1.0), (0.26, 1.0)], pen.light)
    for top, low, wide in ((0.48, 0.54, 0.012), (0.6, 0.7, 0.022), (0.78, 0.93, 0.035)):
        corners = [(0.5 - 0.7 * wide, top), (0.5 + 0.7 * wide, top), (0.5 + wide, low)]
        pen.poly([*corners, (0.5 - wide, low)], pen.ink, is_outlined=False)
    for x, y in ((0.14, 0.62), (0.88, 0.6)):
        pen.line([(x, y), (x, y + 0.14)], width=0.03)
        pen.oval((x, y - 0.03), (0.07, 0.09), pen.pale)


def _sun(pen: Pen, centre: Point, radius: float) -> None:
    pen.oval(centre, (radius, radius), pen.pale)


def _waves(pen: Pen, y: float) -> None:
    """Draw one row of small waves."""
    for x in (0.1, 0.36, 0.62, 0.88):
        pen.line(arc((x, y), (0.08, 0.035), (200, 340), 8), pen.light, width=0.018)


DRAWERS: dict[str, Callable[[Pen], None]] = {
    "skyline": draw_skyline,
    "mountain": draw_mountain,
    "bridge": draw_bridge,
    "island": draw_island,
    "lighthouse": draw_lighthouse,
    "road": draw_road,
}
