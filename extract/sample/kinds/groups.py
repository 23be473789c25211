"""Drawn kinds of the type ORG."""

from collections.abc import Callable

from extract.sample.pen import Pen, arc


def draw_shield(pen: Pen) -> None:
    """Draw a coat of arms: a quartered shield with a star and a ribbon."""
    side = arc((0.5, 0.4), (0.36, 0.44), (0, 180))
    pen.poly([(0.14, 0.04), (0.86, 0.04), *side], pen.main)
    pen.poly([(0.5, 0.04), (0.86, 0.04), (0.86, 0.4), (0.5, 0.4)], pen.second)
    pen.poly([(0.14, 0.4), (0.5, 0.4), *arc((0.5, 0.4), (0.36, 0.44), (90, 180))], pen.second)
    pen.star((0.5, 0.4), pen.wobble(0.22, 0.03), pen.light)
    pen.poly([(0.0, 0.74), (0.12, 0.8), (0.0, 0.96), (0.22, 0.92), (0.22, 0.76)], pen.pale)
    pen.poly([(1.0, 0.74), (0.88, 0.8), (1.0, 0.96), (0.78, 0.92), (0.78, 0.76)], pen.pale)
    pen.rect((0.14, 0.76), (0.86, 0.9), pen.pale)
    pen.line([(0.22, 0.83), (0.78, 0.83)], pen.light, width=0.03)


def draw_factory(pen: Pen) -> None:
    """Draw a factory with a saw-tooth roof and smoking chimneys."""
    for x, top in ((0.12, 0.26), (0.3, 0.34)):
        for step in range(3):
            size = 0.05 + 0.02 * step
            pen.oval((x + 0.08 * step + 0.03, top - 0.08 * step - 0.03), (size, size), pen.light)
        pen.poly([(x - 0.04, top), (x + 0.05, top), (x + 0.07, 0.7), (x - 0.06, 0.7)], pen.second)
        pen.rect((x - 0.045, top + 0.05), (x + 0.055, top + 0.1), pen.pale)
    teeth = [(0.0, 0.62)]
    for x in (0.42, 0.62, 0.82):
        teeth += [(x, 0.62), (x, pen.wobble(0.42, 0.02)), (x + 0.18, 0.62)]
    pen.poly([*teeth, (1.0, 0.98), (0.0, 0.98)], pen.main)
    for x in (0.06, 0.22, 0.62, 0.78):
        pen.rect((x, 0.7), (x + 0.12, 0.8), pen.light)
    pen.rect((0.4, 0.74), (0.56, 0.98), pen.pale)


def draw_office(pen: Pen) -> None:
    """Draw one glass office tower with an entrance and a flag."""
    pen.line([(0.5, 0.14), (0.5, 0.01)], width=0.025)
    pen.poly([(0.5, 0.01), (0.7, 0.04), (0.5, 0.08)], pen.pale)
    pen.rect((0.04, 0.56), (0.96, 0.97), pen.second)
    pen.rect((0.22, 0.13), (0.78, 0.97), pen.main)
    rows = pen.rng.choice((5, 6))
    for row in range(rows):
        y = 0.19 + row * 0.56 / rows
        for column in range(4):
            x = 0.275 + 0.12 * column
            pen.rect((x, y), (x + 0.085, y + 0.34 / rows), pen.light, is_outlined=False)
    for x in (0.08, 0.84):
        for y in (0.64, 0.78):
            pen.rect((x, y), (x + 0.08, y + 0.08), pen.light, is_outlined=False)
    pen.rect((0.38, 0.8), (0.62, 0.97), pen.pale)
    pen.line([(0.5, 0.8), (0.5, 0.97)], width=0.018)


def draw_bank(pen: Pen) -> None:
    """Draw a front with a gable, columns and steps."""
    pen.poly([(0.02, 0.34), (0.5, 0.03), (0.98, 0.34)], pen.main)
    pen.oval((0.5, 0.22), (0.09, 0.08), pen.light)
    pen.rect((0.08, 0.34), (0.92, 0.44), pen.second)
    pen.rect((0.14, 0.44), (0.86, 0.82), pen.second)
    columns = pen.rng.choice((4, 5))
    for index in range(columns):
        x = 0.12 + index * 0.66 / (columns - 1)
        pen.rect((x, 0.44), (x + 0.1, 0.82), pen.light)
        pen.line([(x + 0.05, 0.48), (x + 0.05, 0.78)], pen.pale, width=0.02)
    pen.rect((0.08, 0.82), (0.92, 0.9), pen.pale)
    pen.rect((0.01, 0.9), (0.99, 0.98), pen.main)


def draw_truck(pen: Pen) -> None:
    """Draw a delivery truck with a logo on its box."""
    pen.rect((0.01, 0.2), (0.64, 0.76), pen.main)
    pen.oval((0.32, 0.46), (0.17, 0.18), pen.light)
    if pen.rng.random() < 0.5:
        pen.star((0.32, 0.46), 0.12, pen.second)
    else:
        pen.poly([(0.32, 0.34), (0.43, 0.46), (0.32, 0.58), (0.21, 0.46)], pen.second)
    pen.poly([(0.64, 0.34), (0.83, 0.34), (0.97, 0.54), (0.99, 0.76), (0.64, 0.76)], pen.second)
    pen.poly([(0.69, 0.4), (0.81, 0.4), (0.9, 0.54), (0.69, 0.54)], pen.light)
    pen.rect((0.01, 0.72), (0.99, 0.79), pen.pale)
    for x in (0.2, 0.44, 0.82):
        pen.oval((x, 0.8), (0.1, 0.1), pen.ink)
        pen.oval((x, 0.8), (0.045, 0.045), pen.pale)


def draw_shop(pen: Pen) -> None:
    """Draw a shop front with a striped awning."""
    pen.rect((0.08, 0.3), (0.92, 0.97), pen.second)
    pen.rect((0.26, 0.06), (0.74, 0.2), pen.pale)
    for x in (0.36, 0.5, 0.64):
        pen.dot((x, 0.13), 0.03)
    stripes = 8
    for index in range(stripes):
        left, right = 0.02 + 0.12 * index, 0.14 + 0.12 * index
        fill = pen.main if index % 2 == 0 else pen.light
        hem = arc(((left + right) / 2, 0.38), (0.06, 0.05), (0, 180), 8)
        pen.poly([(left, 0.2), (right, 0.2), (right, 0.38), *hem], fill)
    pen.rect((0.12, 0.54), (0.54, 0.84), pen.light)
    for x in (0.22, 0.34, 0.46):
        pen.oval((x, 0.77), (0.045, 0.06), pen.main)
    pen.rect((0.64, 0.54), (0.86, 0.97), pen.pale)
    pen.dot((0.68, 0.76), 0.022)


DRAWERS: dict[str, Callable[[Pen], None]] = {
    "shield": draw_shield,
    "factory": draw_factory,
    "office": draw_office,
    "bank": draw_bank,
    "truck": draw_truck,
    "shop": draw_shop,
}
