"""Drawn kinds of the type MISC."""

from collections.abc import Callable

from extract.sample.pen import Pen, arc


def draw_trophy(pen: Pen) -> None:
    """Draw a cup with two handles on a base."""
    for x in (0.2, 0.8):
        pen.limb(arc((x, 0.26), (0.15, 0.16)), pen.second, width=0.05)
    pen.poly([(0.22, 0.05), (0.78, 0.05), *arc((0.5, 0.14), (0.28, 0.44), (0, 180))], pen.main)
    pen.rect((0.18, 0.03), (0.82, 0.11), pen.pale)
    pen.poly([(0.45, 0.57), (0.55, 0.57), (0.6, 0.76), (0.4, 0.76)], pen.main)
    pen.star((0.5, 0.3), pen.wobble(0.14, 0.02), pen.light)
    pen.rect((0.3, 0.75), (0.7, 0.84), pen.pale)
    pen.rect((0.2, 0.84), (0.8, 0.98), pen.second)
    pen.rect((0.36, 0.88), (0.64, 0.94), pen.light)


def draw_clapper(pen: Pen) -> None:
    """Draw a film clapperboard, its striped bar open."""
    open_by = pen.wobble(0.16, 0.05)
    pen.rect((0.04, 0.38), (0.96, 0.9), pen.main)
    for top, tilt in ((0.24, 0.0), (0.12, open_by)):
        pen.poly(
            [
                (0.04, top),
                (0.96, top - tilt * 0.7),
                (0.96, top + 0.13 - tilt * 0.7),
                (0.04, top + 0.13),
            ],
            pen.second,
        )
        for x in (0.1, 0.32, 0.54, 0.76):
            y, slope = top - 0.7 * tilt * (x - 0.04) / 0.92, 0.7 * tilt * 0.11 / 0.92
            corners = [(x, y), (x + 0.11, y - slope), (x + 0.17, y + 0.13 - slope)]
            pen.poly([*corners, (x + 0.06, y + 0.13)], pen.light)
    pen.rect((0.12, 0.45), (0.88, 0.58), pen.pale)
    pen.rect((0.12, 0.68), (0.46, 0.83), pen.second)
    pen.rect((0.54, 0.68), (0.88, 0.83), pen.light)


def draw_ticket(pen: Pen) -> None:
    """Draw two overlapping tickets with notches, a star and a tear line."""
    lift = pen.wobble(0.0, 0.03)
    pen.poly([(0.1, 0.3), (0.86, 0.06 + lift), (0.98, 0.46 + lift), (0.22, 0.7)], pen.second)
    left = arc((0.02, 0.64), (0.07, 0.08), (90, -90), 8)
    right = arc((0.94, 0.64), (0.07, 0.08), (270, 90), 8)
    pen.poly([*left, (0.02, 0.36), (0.94, 0.36), *right, (0.94, 0.92), (0.02, 0.92)], pen.main)
    for y in (0.42, 0.53, 0.64, 0.75, 0.84):
        pen.line([(0.66, y), (0.66, y + 0.04)], pen.light, width=0.025)
    pen.rect((0.14, 0.44), (0.58, 0.84), pen.pale)
    pen.star((0.36, 0.64), 0.16, pen.light)
    for x in (0.73, 0.78, 0.82, 0.87):
        pen.line([(x, 0.46), (x, 0.82)], width=pen.rng.choice((0.015, 0.03)))


def draw_guitar(pen: Pen) -> None:
    """Draw a guitar leaning to the right."""
    pen.limb([(0.4, 0.6), (0.88, 0.12)], pen.pale, width=0.08)
    pen.poly([(0.82, 0.1), (0.9, 0.02), (0.99, 0.11), (0.91, 0.19)], pen.second)
    pen.oval((0.5, 0.5), (0.23, 0.23), pen.main)
    pen.oval((0.32, 0.68), (0.31, 0.31), pen.main)
    pen.oval((0.46, 0.54), (0.16, 0.16), pen.main, is_outlined=False)
    pen.poly([(0.5, 0.72), (0.62, 0.6), (0.58, 0.74)], pen.second)
    pen.oval((0.41, 0.59), (0.1, 0.1), pen.ink)
    for shift in (-0.02, 0.0, 0.02):
        pen.line(
            [(0.24 + shift, 0.76 + shift), (0.86 + shift, 0.14 + shift)], pen.light, width=0.009
        )
    pen.limb([(0.17, 0.7), (0.3, 0.83)], pen.second, width=pen.wobble(0.045, 0.01))


def draw_rocket(pen: Pen) -> None:
    """Draw a rocket with fins, a window and a flame, between planets."""
    flame = pen.wobble(0.96, 0.03)
    fire = [(0.38, 0.78), (0.3, 0.9), (0.44, 0.86), (0.5, flame), (0.56, 0.86), (0.7, 0.9)]
    pen.poly([*fire, (0.62, 0.78)], pen.pale)
    pen.poly([(0.32, 0.42), (0.02, 0.68), (0.04, 0.9), (0.36, 0.76)], pen.second)
    pen.poly([(0.68, 0.42), (0.98, 0.68), (0.96, 0.9), (0.64, 0.76)], pen.second)
    hull = [*arc((0.5, 0.44), (0.23, 0.43), (180, 360)), (0.66, 0.78), (0.34, 0.78)]
    pen.poly(hull, pen.main)
    pen.poly(arc((0.5, 0.44), (0.23, 0.43), (222, 318)), pen.light)
    pen.oval((0.5, 0.38), (0.11, 0.11), pen.pale)
    pen.oval((0.5, 0.38), (0.07, 0.07), pen.light)
    pen.rect((0.34, 0.62), (0.66, 0.69), pen.light)
    pen.poly([(0.46, 0.6), (0.54, 0.6), (0.54, 0.88), (0.46, 0.88)], pen.second)
    for x, y, radius in ((0.12, 0.16, 0.1), (0.88, 0.12, 0.06), (0.9, 0.38, 0.08)):
        pen.oval((x, y), (radius, radius), pen.light)


def draw_book(pen: Pen) -> None:
    """Draw an open book with a figure and thick lines."""
    pen.poly(
        [(0.0, 0.24), (0.5, 0.34), (1.0, 0.24), (1.0, 0.92), (0.5, 0.98), (0.0, 0.92)], pen.main
    )
    top = pen.wobble(0.12, 0.03)
    pen.poly(
        [(0.5, 0.26), (0.28, top), (0.06, 0.18), (0.06, 0.84), (0.28, 0.8), (0.5, 0.92)], pen.light
    )
    pen.poly(
        [(0.5, 0.26), (0.72, top), (0.94, 0.18), (0.94, 0.84), (0.72, 0.8), (0.5, 0.92)], pen.pale
    )
    for y in (0.34, 0.5, 0.66):
        pen.line([(0.12, y), (0.28, y - 0.04), (0.44, y + 0.06)], pen.second, width=0.06)
    pen.line([(0.56, 0.72), (0.72, 0.62), (0.88, 0.66)], pen.second, width=0.06)
    pen.oval((0.73, 0.36), (0.12, 0.12), pen.second)


DRAWERS: dict[str, Callable[[Pen], None]] = {
    "trophy": draw_trophy,
    "clapper": draw_clapper,
    "ticket": draw_ticket,
    "guitar": draw_guitar,
    "rocket": draw_rocket,
    "book": draw_book,
}
