"""Drawing in a unit square: shapes are given in 0..1 and land in a map of roles.

A drawing says which role (main colour, second colour, ink ...) each point plays; the colours of the
roles are another matter.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

_OUTLINE = 0.014
"""Width of an outline at weight 1, fraction of the smaller side."""
_INSET = 0.025
"""Of the unit square from the box, so that outlines at its edges are whole."""


class Role(IntEnum):
    """What a point of an object's box is; the value is its level in a map of roles."""

    FREE = 0
    """Not covered by the object."""
    INK = 1
    """Outlines, eyes, strings."""
    MAIN = 2
    SECOND = 3
    PALE = 4
    LIGHT = 5
    CARD = 6
    STRIPE = 7
    """With CARD, the two colours that lie only behind an object."""


FILLS = (Role.MAIN, Role.SECOND, Role.PALE, Role.LIGHT, Role.CARD, Role.STRIPE)


@dataclass(frozen=True)
class Palette:
    """Colours of one object, chosen without regard to its kind; fields in the order of Role."""

    ink: Colour
    main: Colour
    second: Colour
    pale: Colour
    light: Colour
    card: Colour
    stripe: Colour


class Pen:
    """Draws one object.

    Args:
        size: width and height of the object's box, pixels.
        rng: for the small variations between two drawings of one kind.
        is_flipped: mirror left and right.
        weight: factor on the width of everything drawn in ink.
    """

    main, second, pale, light, ink = Role.MAIN, Role.SECOND, Role.PALE, Role.LIGHT, Role.INK

    def __init__(
        self, size: tuple[int, int], *, rng: random.Random, is_flipped: bool, weight: float = 1.0
    ) -> None:
        self.roles = Image.new("L", size, Role.FREE)
        """Map of roles."""
        self.rng = rng
        self._surface = ImageDraw.Draw(self.roles)
        self._width, self._height = size
        self._is_flipped = is_flipped
        self._weight = weight
        self._outline_px = self._pixels(_OUTLINE * weight)

    def poly(self, points: Sequence[Point], fill: Role, *, is_outlined: bool = True) -> None:
        """Fill a polygon and draw its outline."""
        corners = [self._at(point) for point in points]
        self._surface.polygon(corners, fill=fill)
        if is_outlined:
            loop = [*corners, corners[0], corners[1]]
            self._surface.line(loop, fill=self.ink, width=self._outline_px, joint="curve")

    def rect(self, corner: Point, opposite: Point, fill: Role, *, is_outlined: bool = True) -> None:
        """Fill an upright rectangle given by two corners."""
        (x0, y0), (x1, y1) = corner, opposite
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, is_outlined=is_outlined)

    def oval(
        self,
        centre: Point,
        radii: Point,
        fill: Role,
        *,
        degrees: Point = (0, 360),
        is_outlined: bool = True,
    ) -> None:
        """Fill an ellipse, or the segment of it between two angles (clockwise from the right)."""
        self.poly(arc(centre, radii, degrees), fill, is_outlined=is_outlined)

    def line(
        self, points: Sequence[Point], fill: Role | None = None, *, width: float = 0.02
    ) -> None:
        """Draw a path with round ends; `width` is a fraction of the smaller side."""
        if fill is None:
            fill, width = self.ink, width * self._weight
        self._path(points, fill, width)

    def _path(self, points: Sequence[Point], fill: Role, width: float) -> None:
        corners = [self._at(point) for point in points]
        width_px = self._pixels(width)
        self._surface.line(corners, fill=fill, width=width_px, joint="curve")
        radius = width_px / 2
        for x, y in (corners[0], corners[-1]):
            self._surface.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def limb(self, points: Sequence[Point], fill: Role, *, width: float = 0.08) -> None:
        """Draw a thick path with an outline: an arm, a leg, a handle."""
        around = 2 * self._outline_px / min(self._width, self._height)
        self._path(points, self.ink, width + around)
        self.line(points, fill, width=width)

    def dot(self, centre: Point, radius: float = 0.02, fill: Role | None = None) -> None:
        """Draw a small disc without outline."""
        self.oval(centre, (radius, radius), fill or self.ink, is_outlined=False)

    def star(self, centre: Point, radius: float, fill: Role) -> None:
        """Draw a five-pointed star."""
        points = []
        for step in range(10):
            reach = radius if step % 2 == 0 else 0.42 * radius
            angle = math.radians(36 * step - 90)
            points.append(
                (centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle))
            )
        self.poly(points, fill)

    def wobble(self, value: float, by: float = 0.03) -> float:
        """Return the value moved a little, so that no two drawings are alike."""
        return value + self.rng.uniform(-by, by)

    def _at(self, point: Point) -> Point:
        x = 1 - point[0] if self._is_flipped else point[0]
        inner = 1 - 2 * _INSET
        return ((_INSET + x * inner) * self._width, (_INSET + point[1] * inner) * self._height)

    def _pixels(self, fraction: float) -> int:
        """Return a fraction of the smaller side in pixels, at least one."""
        return max(1, round(fraction * min(self._width, self._height)))


def arc(centre: Point, radii: Point, degrees: Point = (0, 360), steps: int = 24) -> list[Point]:
    """Return points of an elliptic arc, clockwise from the right (y points down)."""
    start, end = (math.radians(angle) for angle in degrees)
    return [
        (
            centre[0] + radii[0] * math.cos(start + (end - start) * step / steps),
            centre[1] + radii[1] * math.sin(start + (end - start) * step / steps),
        )
        for step in range(steps + 1)
    ]
