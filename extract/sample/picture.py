"""What a picture will show, decided before a pixel is drawn.

Size, colours, background, position, clutter and noise come from one distribution for all kinds:
nothing here looks at the kind of an object except to store it.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from extract.sample.captions import NEUTRAL_KINDS, SIGN
from extract.sample.pen import Colour, Palette

Box = tuple[int, int, int, int]
"""`xyxy`, pixels of the upright image, x2/y2 exclusive."""

BACKGROUNDS: dict[str, Colour] = {
    "white": (242, 241, 236),
    "yellow": (246, 226, 146),
    "pink": (244, 198, 208),
    "blue": (156, 194, 232),
    "green": (172, 214, 164),
    "grey": (188, 192, 198),
    "orange": (244, 190, 132),
    "purple": (194, 176, 224),
}
PATTERNS = ("plain", "gradient", "stripes", "dots")

_STRONG: tuple[Colour, ...] = (
    (200, 50, 47),
    (33, 88, 160),
    (38, 122, 72),
    (122, 62, 150),
    (206, 104, 30),
    (20, 128, 136),
    (176, 44, 110),
    (104, 76, 52),
    (84, 96, 112),
    (150, 132, 24),
)
_PALE: tuple[Colour, ...] = (
    (246, 212, 178),
    (226, 178, 134),
    (250, 248, 240),
    (250, 228, 120),
    (160, 214, 236),
    (216, 196, 240),
    (176, 224, 176),
    (248, 190, 204),
)
_INKS: tuple[Colour, ...] = (
    (22, 20, 28),
    (82, 12, 18),
    (10, 22, 84),
    (6, 56, 34),
    (68, 14, 74),
    (62, 36, 8),
)
_CONTRAST = 80
"""Smallest distance in RGB between the ink and a fill; some ink is this far from each of them."""
_INK_SHARES = (0.15, 0.19)
"""Of a main object's box; so much that its shape stands out from the colours behind it."""
_FADED_TO = 200
"""Grey level halfway to which the ink of clutter goes."""
_MARGIN_PX = 6


@dataclass(frozen=True)
class Placed:
    """One object of a picture."""

    kind: str
    box: Box
    palette: Palette
    is_flipped: bool
    seed: int
    ink_share: float | None = None
    """Of a main object's box, how much is ink; such an object lies on a card. None for clutter."""


@dataclass(frozen=True)
class PicturePlan:
    """Everything that `draw_picture` needs."""

    width: int
    height: int
    background: str
    """Key of BACKGROUNDS; captions may name it."""
    pattern: str
    shade: Colour
    """Second colour of the pattern."""
    mains: tuple[Placed, ...]
    """The objects that the picture is about, left to right."""
    clutter: tuple[Placed, ...]
    """Small neutral objects around them."""
    lines: tuple[str, ...] = ()
    """What is written on the sign, when one of the mains is a sign."""
    noise: float = 4.0
    """Standard deviation of the grain, grey levels."""
    seed: int = 0


def plan_picture(
    rng: random.Random, kinds: Sequence[str], *, lines: Sequence[str] = ()
) -> PicturePlan:
    """Plan a picture of one or two objects, given left to right, among neutral clutter.

    A sign takes a band of the picture and stands above or below the other object.
    """
    width, height = rng.randint(224, 288), rng.randint(224, 288)
    name = rng.choice(tuple(BACKGROUNDS))
    shade = tuple(
        _clip(level + rng.choice((-1, 1)) * rng.randint(9, 16)) for level in BACKGROUNDS[name]
    )
    boxes = _main_boxes(rng, (width, height), kinds)
    mains = [
        replace(_place(rng, kind, box), ink_share=rng.uniform(*_INK_SHARES))
        for kind, box in zip(kinds, boxes, strict=True)
    ]
    clutter: list[Placed] = []
    for _ in range(rng.randint(1, 2)):
        box = _free_box(rng, (width, height), [other.box for other in (*mains, *clutter)])
        if box is not None:
            clutter.append(_faded(_place(rng, rng.choice(NEUTRAL_KINDS), box)))
    return PicturePlan(
        width=width,
        height=height,
        background=name,
        pattern=rng.choice(PATTERNS),
        shade=shade,
        mains=tuple(mains),
        clutter=tuple(clutter),
        lines=tuple(lines),
        noise=rng.uniform(1.5, 7.0),
        seed=rng.getrandbits(32),
    )


def _clip(level: int) -> int:
    return max(0, min(255, level))


def _place(rng: random.Random, kind: str, box: Box) -> Placed:
    # Any colour in any role: were one role always pale, a histogram would know the kind.
    fills = [*rng.sample(_STRONG, 3), *rng.sample(_PALE, 3)]
    rng.shuffle(fills)
    inks = [ink for ink in _INKS if min(math.dist(ink, fill) for fill in fills) > _CONTRAST]
    palette = Palette(rng.choice(inks), *fills)
    return Placed(kind, box, palette, is_flipped=rng.random() < 0.5, seed=rng.getrandbits(32))


def _faded(placed: Placed) -> Placed:
    """Return the object in a lighter ink: OCR takes small dark drawings for letters."""
    ink = tuple((level + _FADED_TO) // 2 for level in placed.palette.ink)
    return replace(placed, palette=replace(placed.palette, ink=ink))


def _main_boxes(rng: random.Random, size: tuple[int, int], kinds: Sequence[str]) -> list[Box]:
    """Return one box a kind, left to right; a sign gets its band."""
    width, height = size
    if SIGN in kinds:
        return _sign_boxes(rng, size, kinds)
    share = width / len(kinds)
    smallest, largest = (0.5, 0.7) if len(kinds) == 1 else (0.4, 0.46)
    boxes = []
    for index in range(len(kinds)):
        side = min(width, height) * rng.uniform(smallest, largest)
        wide, high = side * rng.uniform(0.9, 1.0), side * rng.uniform(0.9, 1.0)
        left = share * index + rng.uniform(_MARGIN_PX, share - wide - 1)
        boxes.append(_box(left, rng.uniform(_MARGIN_PX, height - high - _MARGIN_PX), wide, high))
    return boxes


def _sign_boxes(rng: random.Random, size: tuple[int, int], kinds: Sequence[str]) -> list[Box]:
    """Return the sign's band and, above or below it, the boxes of the other kinds."""
    width, height = size
    wide, high = width * rng.uniform(0.66, 0.9), height * rng.uniform(0.44, 0.52)
    band = height - high - 3 * _MARGIN_PX
    is_above = rng.random() < 0.5
    top = _MARGIN_PX if is_above else height - high - _MARGIN_PX
    sign = _box(rng.uniform(_MARGIN_PX, width - wide - _MARGIN_PX), top, wide, high)
    boxes = []
    for kind in kinds:
        if kind == SIGN:
            boxes.append(sign)
            continue
        side = band * rng.uniform(0.72, 0.98)
        above_or_below = high + 2 * _MARGIN_PX if is_above else _MARGIN_PX
        left = rng.uniform(_MARGIN_PX, width - side - _MARGIN_PX)
        boxes.append(_box(left, above_or_below + rng.uniform(0, band - side), side, side))
    return boxes


def _free_box(rng: random.Random, size: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Return a small box that touches none of the taken ones, or None after many tries."""
    for _ in range(25):
        side = rng.uniform(22, 42)
        x = rng.uniform(2, size[0] - side - 2)
        y = rng.uniform(2, size[1] - side - 2)
        box = _box(x, y, side, side)
        if not any(_overlap(box, other) for other in taken):
            return box
    return None


def _box(x: float, y: float, width: float, height: float) -> Box:
    return (round(x), round(y), round(x + width), round(y + height))


def _overlap(one: Box, two: Box) -> bool:
    """Say whether two boxes overlap or are less than three pixels apart."""
    return (
        one[0] < two[2] + 3 and two[0] < one[2] + 3 and one[1] < two[3] + 3 and two[1] < one[3] + 3
    )
