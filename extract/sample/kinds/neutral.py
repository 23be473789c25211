"""Drawn kinds that say nothing of a type: clutter, and the objects of pictures without evidence."""

from collections.abc import Callable

from extract.sample.pen import Pen, arc


def draw_tree(pen: Pen) -> None:
    """Draw a round tree with fruit."""
    pen.poly([(0.43, 0.55), (0.57, 0.55), (0.62, 0.98), (0.38, 0.98)], pen.pale)
    for x, y in ((0.28, 0.42), (0.72, 0.42), (0.5, 0.24)):
        pen.oval((x, y), (0.27, 0.23), pen.main)
    pen.oval((0.5, 0.4), (0.25, 0.2), pen.main, is_outlined=False)
    for x, y in ((0.3, 0.4), (0.52, 0.22), (0.7, 0.46), (0.5, 0.48)):
        pen.oval((x, pen.wobble(y)), (0.045, 0.045), pen.second)


def draw_flower(pen: Pen) -> None:
    """Draw a flower with five petals."""
    pen.line([(0.5, 0.5), (0.5, 0.98)], width=0.05)
    pen.oval((0.66, 0.8), (0.16, 0.07), pen.second)
    pen.oval((0.34, 0.7), (0.16, 0.07), pen.second)
    for x, y in arc((0.5, 0.34), (0.22, 0.22), (-90, 270), 5)[:5]:
        pen.oval((x, y), (0.14, 0.14), pen.main)
    pen.oval((0.5, 0.34), (0.12, 0.12), pen.pale)


def draw_balloon(pen: Pen) -> None:
    """Draw a balloon on a string."""
    sway = pen.wobble(0.4, 0.08)
    pen.line([(0.5, 0.7), (sway, 0.8), (0.56, 0.9), (0.5, 0.99)], width=0.025)
    pen.poly([(0.5, 0.64), (0.43, 0.74), (0.57, 0.74)], pen.second)
    pen.oval((0.5, 0.35), (0.34, 0.34), pen.main)
    pen.oval((0.38, 0.24), (0.09, 0.07), pen.light, is_outlined=False)


def draw_cup(pen: Pen) -> None:
    """Draw a steaming cup on a saucer."""
    pen.limb(arc((0.74, 0.58), (0.16, 0.14)), pen.main, width=0.05)
    pen.poly([(0.16, 0.38), (0.74, 0.38), (0.66, 0.86), (0.24, 0.86)], pen.main)
    pen.rect((0.17, 0.5), (0.73, 0.6), pen.second)
    pen.oval((0.45, 0.38), (0.29, 0.06), pen.pale)
    pen.oval((0.46, 0.91), (0.42, 0.07), pen.pale)
    for x in (0.34, 0.52):
        pen.line([(x, 0.26), (x + 0.05, 0.18), (x, pen.wobble(0.06))], pen.light, width=0.03)


def draw_chair(pen: Pen) -> None:
    """Draw a chair."""
    for x in (0.22, 0.78):
        pen.limb([(x, 0.06), (x, 0.96)], pen.pale, width=0.06)
    pen.rect((0.2, 0.1), (0.8, pen.wobble(0.42)), pen.main)
    pen.poly([(0.2, 0.56), (0.8, 0.56), (0.94, 0.7), (0.06, 0.7)], pen.second)
    for x in (0.1, 0.9):
        pen.limb([(x, 0.72), (x, 0.96)], pen.pale, width=0.06)


def draw_umbrella(pen: Pen) -> None:
    """Draw an open umbrella."""
    pen.line([(0.5, 0.1), (0.5, 0.86), (0.54, 0.94), (0.62, 0.92), (0.64, 0.84)], width=0.035)
    for left, fill in ((0.04, pen.main), (0.35, pen.second), (0.65, pen.main)):
        hem = arc((left + 0.155, 0.52), (0.155, 0.08), (360, 180), 8)
        pen.poly([(0.5, 0.06), (left + 0.31, 0.4), *hem, (left, 0.4)], fill)
    pen.dot((0.5, pen.wobble(0.05, 0.01)), 0.03, pen.pale)


def draw_lamp(pen: Pen) -> None:
    """Draw a table lamp."""
    pen.line([(0.5, 0.4), (0.5, 0.9)], width=0.06)
    pen.oval((0.5, 0.68), (0.13, pen.wobble(0.14)), pen.second)
    pen.poly([(0.32, 0.05), (0.68, 0.05), (0.9, 0.46), (0.1, 0.46)], pen.main)
    pen.poly([(0.44, 0.05), (0.56, 0.05), (0.6, 0.46), (0.4, 0.46)], pen.pale)
    pen.oval((0.5, 0.93), (0.28, 0.06), pen.second)


def draw_fish(pen: Pen) -> None:
    """Draw a fish."""
    pen.poly([(0.66, 0.5), (0.98, 0.24), (0.9, 0.5), (0.98, 0.76)], pen.second)
    pen.poly([(0.3, 0.34), (0.5, pen.wobble(0.12)), (0.62, 0.36)], pen.second)
    pen.oval((0.4, 0.5), (0.38, 0.26), pen.main)
    pen.line(arc((0.2, 0.5), (0.14, 0.24), (-60, 60)), width=0.022)
    pen.oval((0.18, 0.44), (0.06, 0.06), pen.light)
    pen.dot((0.17, 0.44), 0.028, pen.ink)
    pen.poly([(0.44, 0.54), (0.62, 0.6), (0.46, 0.68)], pen.pale)


DRAWERS: dict[str, Callable[[Pen], None]] = {
    "tree": draw_tree,
    "flower": draw_flower,
    "balloon": draw_balloon,
    "cup": draw_cup,
    "chair": draw_chair,
    "umbrella": draw_umbrella,
    "lamp": draw_lamp,
    "fish": draw_fish,
}
