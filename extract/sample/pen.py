"""Drawing in a unit square: shapes are given in 0..1 and land in an object's box on the canvas."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Palette:
    """Colours of one object, chosen without regard to its kind."""

    main: Colour
    second: Colour
    pale: Colour
    light: Colour
    ink: Colour
    """Of outlines, eyes, strings and wheels."""


class Pen:
    """Draws one object into its box.

    Args:
        surface: of a canvas drawn larger than the final image.
        box: `xyxy`, pixels of that canvas.
        palette: colours of the object.
        rng: for the small variations between two drawings of one kind.
        is_flipped: mirror left and right.
    """

    def __init__(
        self,
        surface: ImageDraw.ImageDraw,
        box: Sequence[float],
        *,
        palette: Palette,
        rng: random.Random,
        is_flipped: bool,
    ) -> None:
        self._surface = surface
        self._x, self._y = box[0], box[1]
        self._width, self._height = box[2] - box[0], box[3] - box[1]
        self._is_flipped = is_flipped
        self._outline_px = max(1, round(0.014 * min(self._width, self._height)))
        self.main, self.second, self.pale = palette.main, palette.second, palette.pale
        self.light, self.ink = palette.light, palette.ink
        self.rng = rng

    def poly(self, points: Sequence[Point], fill: Colour, *, is_outlined: bool = True) -> None:
        """Fill a polygon and draw its outline."""
        corners = [self._at(point) for point in points]
        self._surface.polygon(corners, fill=fill)
        if is_outlined:
            loop = [*corners, corners[0], corners[1]]
            self._surface.line(loop, fill=self.ink, width=self._outline_px, joint="curve")

    def rect(
        self, corner: Point, opposite: Point, fill: Colour, *, is_outlined: bool = True
    ) -> None:
        """Fill an upright rectangle given by two corners."""
        (x0, y0), (x1, y1) = corner, opposite
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, is_outlined=is_outlined)

    def oval(
        self,
        centre: Point,
        radii: Point,
        fill: Colour,
        *,
        degrees: Point = (0, 360),
        is_outlined: bool = True,
    ) -> None:
        """Fill an ellipse, or the segment of it between two angles (clockwise from the right)."""
        self.poly(arc(centre, radii, degrees), fill, is_outlined=is_outlined)

    def line(
        self, points: Sequence[Point], fill: Colour | None = None, *, width: float = 0.02
    ) -> None:
        """Draw a path with round ends; `width` is a fraction of the smaller side."""
        fill = fill or self.ink
        corners = [self._at(point) for point in points]
        width_px = max(1, round(width * min(self._width, self._height)))
        self._surface.line(corners, fill=fill, width=width_px, joint="curve")
        radius = width_px / 2
        for x, y in (corners[0], corners[-1]):
            self._surface.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def limb(self, points: Sequence[Point], fill: Colour, *, width: float = 0.08) -> None:
        """Draw a thick path with an outline: an arm, a leg, a handle."""
        self.line(points, self.ink, width=width + 0.03)
        self.line(points, fill, width=width)

    def dot(self, centre: Point, radius: float = 0.02, fill: Colour | None = None) -> None:
        """Draw a small disc without outline."""
        self.oval(centre, (radius, radius), fill or self.ink, is_outlined=False)

    def star(self, centre: Point, radius: float, fill: Colour) -> None:
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
        return (self._x + x * self._width, self._y + point[1] * self._height)


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
