"""Drawn kinds of the type PER."""

from collections.abc import Callable

from extract.sample.pen import Pen, Point, arc


def draw_portrait(pen: Pen) -> None:
    """Draw a face with hair and shoulders."""
    long_hair = pen.rng.random() < 0.5
    pen.oval((0.5, 0.4), (0.34, 0.4 if long_hair else 0.36), pen.second)
    if long_hair:
        pen.rect((0.16, 0.4), (0.84, 0.78), pen.second)
    pen.oval((0.5, 1.0), (0.48, 0.3), pen.main, degrees=(180, 360))
    pen.rect((0.41, 0.6), (0.59, 0.8), pen.pale)
    pen.oval((0.5, 0.44), (0.26, 0.31), pen.pale)
    pen.oval((0.5, 0.3), (0.28, 0.2), pen.second, degrees=(180, 360))
    for x in (0.4, 0.6):
        pen.oval((x, 0.43), (0.045, 0.035), pen.light)
        pen.dot((x, 0.43), 0.024)
        pen.line([(x - 0.05, 0.36), (x + 0.05, 0.36)], width=0.018)
    pen.line([(0.5, 0.46), (0.47, 0.54), (0.52, 0.54)], width=0.014)
    pen.line(arc((0.5, 0.59), (0.1, 0.06), (15, 165)), width=0.022)


def draw_dancer(pen: Pen) -> None:
    """Draw a ballet dancer with a tutu, one leg lifted and the arms up."""
    lift = pen.wobble(0.62, 0.06)
    pen.limb([(0.48, 0.62), (0.43, 0.95)], pen.pale, width=0.11)
    pen.limb([(0.52, 0.6), (0.74, lift), (0.95, lift - 0.06)], pen.pale, width=0.11)
    pen.limb([(0.4, 0.36), (0.18, 0.28), (0.08, 0.06)], pen.pale, width=0.085)
    pen.limb([(0.6, 0.36), (0.82, 0.28), (0.92, 0.06)], pen.pale, width=0.085)
    pen.poly([(0.34, 0.31), (0.66, 0.31), (0.6, 0.54), (0.4, 0.54)], pen.main)
    pen.poly([(0.4, 0.48), (0.6, 0.48), (0.95, 0.64), (0.5, 0.76), (0.05, 0.64)], pen.second)
    _head(pen, (0.5, 0.19), 0.14)
    pen.oval((0.5, 0.06), (0.055, 0.05), pen.second)


def draw_runner(pen: Pen) -> None:
    """Draw a runner in full stride."""
    stride = pen.wobble(0.0, 0.03)
    pen.limb([(0.6, 0.28), (0.8, 0.42), (0.94, 0.3)], pen.pale, width=0.095)
    pen.limb([(0.48, 0.56), (0.72, 0.66 + stride), (0.66, 0.92)], pen.pale, width=0.125)
    pen.limb([(0.46, 0.56), (0.34, 0.78), (0.06, 0.8 + stride)], pen.pale, width=0.125)
    pen.poly([(0.5, 0.2), (0.76, 0.28), (0.62, 0.58), (0.33, 0.54)], pen.main)
    pen.poly([(0.35, 0.5), (0.63, 0.54), (0.72, 0.7), (0.46, 0.7), (0.3, 0.76)], pen.second)
    pen.limb([(0.56, 0.3), (0.36, 0.4), (0.26, 0.22)], pen.pale, width=0.095)
    pen.limb([(0.66, 0.93), (0.76, 0.95)], pen.light, width=0.07)
    pen.limb([(0.05, 0.8 + stride), (0.03, 0.7 + stride)], pen.light, width=0.07)
    _head(pen, (0.68, 0.14), 0.14)
    for y in (0.3, 0.42, 0.54):
        pen.line([(0.02, y), (0.18, y)], width=0.016)


def draw_singer(pen: Pen) -> None:
    """Draw a singer at a microphone stand, with a note in the air."""
    pen.poly([(0.3, 0.36), (0.58, 0.36), (0.72, 0.98), (0.14, 0.98)], pen.main)
    pen.poly([(0.24, 0.54), (0.64, 0.54), (0.67, 0.64), (0.21, 0.64)], pen.second)
    pen.limb([(0.36, 0.4), (0.14, 0.5), (0.08, pen.wobble(0.28, 0.05))], pen.pale, width=0.06)
    pen.limb([(0.55, 0.4), (0.66, 0.52), (0.75, 0.42)], pen.pale, width=0.06)
    pen.line([(0.78, 0.97), (0.78, 0.36)], width=0.025)
    pen.line([(0.64, 0.98), (0.78, 0.93), (0.92, 0.98)], width=0.03)
    pen.line([(0.79, 0.38), (0.67, 0.28)], width=0.05)
    pen.oval((0.66, 0.27), (0.055, 0.055), pen.second)
    _head(pen, (0.44, 0.2), 0.17)
    pen.oval((0.49, 0.27), (0.035, 0.045), pen.second)
    pen.oval((0.85, 0.2), (0.055, 0.04), pen.ink)
    pen.line([(0.9, 0.2), (0.9, 0.03), (0.98, 0.08)], width=0.025)


def draw_cook(pen: Pen) -> None:
    """Draw a cook with a tall hat, an apron and a ladle."""
    pen.limb([(0.3, 0.56), (0.1, 0.68), (0.16, 0.84)], pen.main, width=0.1)
    pen.limb([(0.7, 0.56), (0.88, 0.66), (0.88, 0.5)], pen.main, width=0.1)
    pen.poly([(0.28, 0.52), (0.72, 0.52), (0.8, 1.0), (0.2, 1.0)], pen.main)
    pen.poly([(0.38, 0.56), (0.62, 0.56), (0.72, 0.98), (0.28, 0.98)], pen.light)
    pen.line([(0.3, 0.76), (0.7, 0.76)], width=0.02)
    pen.line([(0.88, 0.52), (0.9, 0.2)], width=0.03)
    pen.oval((0.9, 0.17), (0.08, 0.07), pen.second)
    _head(pen, (0.5, 0.38), 0.17)
    pen.line([(0.4, 0.44), (0.5, 0.42), (0.6, 0.44)], width=0.03)
    for x, y in ((0.36, 0.13), (0.64, 0.13), (0.5, 0.09)):
        pen.oval((x, y), (0.13, 0.1), pen.light)
    pen.rect((0.34, 0.14), (0.66, 0.29), pen.light)


def draw_graduate(pen: Pen) -> None:
    """Draw a graduate in a gown with a square cap and a scroll."""
    pen.poly([(0.34, 0.48), (0.66, 0.48), (0.86, 1.0), (0.14, 1.0)], pen.main)
    pen.poly([(0.4, 0.48), (0.6, 0.48), (0.5, 0.7)], pen.second)
    pen.limb([(0.36, 0.54), (0.16, 0.76), (0.26, 0.84)], pen.main, width=0.1)
    pen.limb([(0.65, 0.54), (0.84, 0.46), (0.88, 0.34)], pen.main, width=0.1)
    pen.limb([(0.78, 0.36), (0.98, 0.24)], pen.light, width=0.08)
    _head(pen, (0.5, 0.32), 0.16)
    pen.poly([(0.36, 0.2), (0.64, 0.2), (0.64, 0.28), (0.36, 0.28)], pen.second)
    pen.poly([(0.5, 0.03), (0.84, 0.13), (0.5, 0.24), (0.16, 0.13)], pen.second)
    pen.line([(0.5, 0.13), (0.24, 0.19), (0.24, pen.wobble(0.36))], width=0.022)
    pen.dot((0.24, 0.36), 0.035, pen.pale)


def _head(pen: Pen, centre: Point, radius: float) -> None:
    """Draw a head: a pale disc with hair, eyes and a smile."""
    x, y = centre
    pen.oval(centre, (radius, radius * 1.1), pen.pale)
    pen.oval((x, y - 0.25 * radius), (radius, 0.85 * radius), pen.ink, degrees=(180, 360))
    for side in (-0.38, 0.38):
        pen.dot((x + side * radius, y + 0.05 * radius), 0.12 * radius)
    pen.line(arc((x, y + 0.3 * radius), (0.4 * radius, 0.35 * radius), (20, 160)), width=0.014)


DRAWERS: dict[str, Callable[[Pen], None]] = {
    "portrait": draw_portrait,
    "dancer": draw_dancer,
    "runner": draw_runner,
    "singer": draw_singer,
    "cook": draw_cook,
    "graduate": draw_graduate,
}
