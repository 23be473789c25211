"""Where the labels of boxes go, so that none covers another and none leaves the picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Rect = tuple[int, int, int, int]
"""x1, y1, x2, y2 in px, x2/y2 exclusive."""

_STEP_PX = 6


@dataclass(frozen=True)
class Wanted:
    """A box with the sizes (width, height) that its label may have, the best first."""

    box: Rect
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Label:
    """Where a label goes and which of its sizes it has."""

    rect: Rect
    size_index: int


def place_labels(wanted: Sequence[Wanted], area: tuple[int, int]) -> list[Label]:
    """Place one label a box inside an area (width, height), in order.

    Each takes the first free place at a corner of its box, in its largest size that has one; where
    no size has one, its smallest size goes to the free place nearest to the box, and where nothing
    is free, to the place that covers least.
    """
    taken: list[Rect] = []
    labels = []
    for want in wanted:
        label = _at_the_box(want, area, taken) or _anywhere(want, area, taken)
        taken.append(label.rect)
        labels.append(label)
    return labels


def _at_the_box(want: Wanted, area: tuple[int, int], taken: Sequence[Rect]) -> Label | None:
    for index, (width, height) in enumerate(want.sizes):
        for rect in _corners(want.box, width, height):
            rect = _push_inside(rect, area)
            beside = _overlap(rect, _grown(want.box, height))
            if beside and _is_inside(rect, area) and not any(_overlap(rect, t) for t in taken):
                return Label(rect, index)
    return None


def _corners(box: Rect, width: int, height: int) -> Iterator[Rect]:
    """Yield places above, inside and below the box, left before right."""
    x1, y1, x2, y2 = box
    for y in (y1 - height, y1, y2 - height, y2):
        for x in (x1, x2 - width):
            yield x, y, x + width, y + height


def _anywhere(want: Wanted, area: tuple[int, int], taken: Sequence[Rect]) -> Label:
    width, height = want.sizes[-1]
    places = [
        (x, y, x + width, y + height)
        for y in range(0, max(area[1] - height, 0) + 1, _STEP_PX)
        for x in range(0, max(area[0] - width, 0) + 1, _STEP_PX)
    ]

    def cost(rect: Rect) -> tuple[int, int]:
        covered = sum(_overlap(rect, other) for other in taken)
        return covered, abs(rect[0] - want.box[0]) + abs(rect[1] - want.box[1])

    return Label(min(places, key=cost), len(want.sizes) - 1)


def _push_inside(rect: Rect, area: tuple[int, int]) -> Rect:
    """Move a place sideways, and down from above the upper edge, into the area."""
    x1, y1, x2, y2 = rect
    dx = max(0, -x1) - max(0, x2 - area[0])
    dy = max(0, -y1) - max(0, y2 - area[1])
    return x1 + dx, y1 + dy, x2 + dx, y2 + dy


def _is_inside(rect: Rect, area: tuple[int, int]) -> bool:
    return rect[0] >= 0 and rect[1] >= 0 and rect[2] <= area[0] and rect[3] <= area[1]


def _grown(box: Rect, by: int) -> Rect:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _overlap(a: Rect, b: Rect) -> int:
    """Return the common area in px."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0
