"""Drawn objects whose pixel statistics do not tell their kind.

Kinds differ in how much of their box they cover, in the length of their outlines and in how they
share the box out among their colours, and so on average do types. A colour histogram would see all
three. Here every main object has the same: a planned amount of ink, met by the width of the
outlines, and fills that cover equal parts of the box, met by bands of colour behind the object.
"""

import random
from dataclasses import astuple

import numpy as np
from PIL import Image, ImageDraw

from extract.sample.kinds import groups, neutral, people, places, things
from extract.sample.pen import FILLS, Colour, Palette, Pen, Role
from extract.sample.picture import Placed

DRAWERS = {
    **people.DRAWERS,
    **places.DRAWERS,
    **groups.DRAWERS,
    **things.DRAWERS,
    **neutral.DRAWERS,
}

_THINNEST, _THICKEST = 0.2, 4.0
_FIRST_WEIGHTS = (0.8, 1.8)
"""Weights of the ink that are tried; the others follow from how much ink they give."""
_TRIALS = 4
_FINER = 2
"""Objects are drawn so many times larger than the canvas: widths are whole pixels."""


def paste_object(canvas: Image.Image, placed: Placed, *, scale: int) -> None:
    """Draw an object into its box on a canvas that is `scale` times as large as the picture."""
    x0, y0, x1, y1 = (scale * edge for edge in placed.box)
    size = (_FINER * (x1 - x0), _FINER * (y1 - y0))
    roles = draw_roles(placed, size)
    if placed.ink_share is None:
        mask = roles.point(lambda role: 255 if role != Role.FREE else 0)
    else:
        mask = Image.new("L", size)
        card = (0, 0, size[0] - 1, size[1] - 1)
        ImageDraw.Draw(mask).rounded_rectangle(card, radius=size[0] / 24, fill=255)
    roles.putpalette([level for colour in _colours(placed.palette) for level in colour])
    canvas.paste(roles.convert("RGB").reduce(_FINER), (x0, y0), mask.reduce(_FINER))


def _colours(palette: Palette) -> list[Colour]:
    """Return the colour of each role; free points, which are not pasted, have that of the ink."""
    return [palette.ink, *astuple(palette)]


def draw_roles(placed: Placed, size: tuple[int, int]) -> Image.Image:
    """Return an object's map of roles (see `Role`); that of a main object has no free point.

    Args:
        placed: the object.
        size: width and height of the map, pixels.
    """
    if placed.ink_share is None:
        return _roles(placed, size, 1.0)
    n_wanted = placed.ink_share * size[0] * size[1]
    tried: list[tuple[float, int, Image.Image]] = []
    weights = list(_FIRST_WEIGHTS)
    for trial in range(_TRIALS):
        weight = weights[trial]
        roles = _roles(placed, size, weight)
        tried.append((weight, roles.histogram()[Role.INK], roles))
        if trial > 0:
            weights.append(_next_weight(tried[-2][:2], tried[-1][:2], n_wanted))
    _, _, roles = min(tried, key=lambda entry: abs(entry[1] - n_wanted))
    return _with_bands(roles, random.Random(placed.seed))


def _next_weight(one: tuple[float, int], other: tuple[float, int], n_wanted: float) -> float:
    """Return where the line through two trials, (weight, points of ink), has the wanted ink."""
    n_more = other[1] - one[1]
    if n_more == 0:
        return other[0]
    weight = one[0] + (n_wanted - one[1]) * (other[0] - one[0]) / n_more
    return min(max(weight, _THINNEST), _THICKEST)


def _roles(placed: Placed, size: tuple[int, int], weight: float) -> Image.Image:
    rng = random.Random(placed.seed)
    pen = Pen(size, rng=rng, is_flipped=placed.is_flipped, weight=weight)
    DRAWERS[placed.kind](pen)
    return pen.roles


def _with_bands(roles: Image.Image, rng: random.Random) -> Image.Image:
    """Return the map with bands of the fills, top to bottom, where it was free.

    A fill that the object uses little gets a broad band, so that all of them cover as nearly the
    same part of the box as they can.
    """
    levels = np.array(roles)
    is_free = levels == Role.FREE
    order = rng.sample(FILLS, len(FILLS))
    counts = np.bincount(levels.ravel(), minlength=len(Role))[order]
    widths = _shares_that_level(counts, int(is_free.sum()))
    levels[is_free] = np.repeat(np.array(order, np.uint8), widths)
    return Image.fromarray(levels)


def _shares_that_level(counts: np.ndarray, total: int) -> np.ndarray:
    """Split `total` into what to add to each count so that the lowest rise to one level.

    Args:
        counts: shape (N,), integers.
        total: not negative.

    Returns:
        Shape (N,), integers that add up to `total`; 0 for counts above the level.
    """
    shares = np.zeros_like(counts)
    ranks = np.argsort(counts, kind="stable")
    for n_lowest in range(1, len(counts) + 1):
        lowest = ranks[:n_lowest]
        level, rest = divmod(int(counts[lowest].sum()) + total, n_lowest)
        if n_lowest == len(counts) or level < counts[ranks[n_lowest]]:
            break
    shares[lowest] = level - counts[lowest]
    shares[lowest[:rest]] += 1
    return shares
