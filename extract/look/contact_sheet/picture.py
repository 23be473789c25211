"""The picture of a tile: the upright image, scaled, with boxes, labels and the places of words."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageColor, ImageDraw

from extract.images.decode import resize_exact
from extract.look.contact_sheet.labels import Rect, Wanted, place_labels
from extract.look.contact_sheet.text import Typeface, shorten

BACKGROUND = "#e4e4e4"

_LABEL_MAX_PX = 220
_PAD_X_PX = 4
_DASH_PX = 3


@dataclass(frozen=True)
class DrawnBox:
    """A box of the image with what its label says."""

    xyxy: tuple[float, float, float, float]
    """Pixels of the upright image."""
    color: str
    number: str = ""
    """Kept where there is no room for the name."""
    name: str = ""
    score: str = ""


def draw_picture(
    image: Image.Image,
    boxes: Sequence[DrawnBox],
    words: Sequence[DrawnBox],
    face: Typeface,
    limits: tuple[int, int, int],
) -> Image.Image:
    """Return the image in the middle of an area, boxes and words drawn on it.

    Args:
        image: upright RGB.
        boxes: with labels, thick; the first ones get the best places for their labels.
        words: without labels, thin and dashed.
        face: of the labels.
        limits: width of the area, its least height, its greatest height, in px.
    """
    area_px, least_px, most_px = limits
    scale = min(area_px / image.width, most_px / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", (area_px, max(size[1], least_px)), BACKGROUND)
    left, top = (canvas.width - size[0]) // 2, (canvas.height - size[1]) // 2
    canvas.paste(resize_exact(image, size), (left, top))
    draw = ImageDraw.Draw(canvas)

    def on_canvas(box: DrawnBox) -> Rect:
        """Scale, keep inside the image, and give every box at least 2 px."""
        x1, y1, x2, y2 = (
            min(max(round(value * size[axis % 2] / whole), 0), size[axis % 2])
            for axis, (value, whole) in enumerate(
                zip(box.xyxy, (image.width, image.height) * 2, strict=True)
            )
        )
        x1, y1 = min(x1, size[0] - 2), min(y1, size[1] - 2)
        return left + x1, top + y1, left + max(x2, x1 + 2), top + max(y2, y1 + 2)

    for word in words:
        _draw_dashed(draw, on_canvas(word), word.color)
    rects = [on_canvas(box) for box in boxes]
    # Large boxes first, so that they do not cover the lines of small ones.
    for rect, box in sorted(zip(rects, boxes, strict=True), key=lambda pair: -_extent(pair[0])):
        _draw_frame(draw, rect, box.color)
    _draw_labels(draw, boxes, rects, face, canvas.size)
    return canvas


def _extent(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _draw_frame(draw: ImageDraw.ImageDraw, rect: Rect, color: str) -> None:
    """Draw a line of 2 px inside the box between white ones, to be seen on any picture."""
    x1, y1, x2, y2 = rect[0], rect[1], rect[2] - 1, rect[3] - 1
    for inset, line in ((-1, "white"), (2, "white"), (0, color), (1, color)):
        if x1 + inset <= x2 - inset and y1 + inset <= y2 - inset:
            draw.rectangle((x1 + inset, y1 + inset, x2 - inset, y2 - inset), outline=line)


def _draw_dashed(draw: ImageDraw.ImageDraw, rect: Rect, color: str) -> None:
    """Draw a dashed line of 1 px, white in the gaps."""
    x1, y1, x2, y2 = rect[0], rect[1], rect[2] - 1, rect[3] - 1
    draw.rectangle((x1, y1, x2, y2), outline="white")
    for x in range(x1, x2 + 1, 2 * _DASH_PX):
        for y in (y1, y2):
            draw.line((x, y, min(x + _DASH_PX - 1, x2), y), fill=color)
    for y in range(y1, y2 + 1, 2 * _DASH_PX):
        for x in (x1, x2):
            draw.line((x, y, x, min(y + _DASH_PX - 1, y2)), fill=color)


def _draw_labels(
    draw: ImageDraw.ImageDraw,
    boxes: Sequence[DrawnBox],
    rects: Sequence[Rect],
    face: Typeface,
    area: tuple[int, int],
) -> None:
    texts = [(_label(box, face), box.number) for box in boxes]
    wanted = [
        Wanted(rect, tuple(_label_size(text, face) for text in both))
        for rect, both in zip(rects, texts, strict=True)
    ]
    for box, both, label in zip(boxes, texts, place_labels(wanted, area), strict=True):
        x1, y1, x2, y2 = label.rect
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=box.color, outline="white")
        text = both[label.size_index]
        draw.text((x1 + _PAD_X_PX, y1 + 1), text, fill=text_color(box.color), font=face.font)


def _label(box: DrawnBox, face: Typeface) -> str:
    """Return number, name and score, of which only the name may be shortened."""
    number, score = (f"{part} " if part else "" for part in (box.number, box.score))
    room = _LABEL_MAX_PX - face.width(number + score)
    return f"{number}{shorten(box.name, face, room)} {score}".strip()


def _label_size(text: str, face: Typeface) -> tuple[int, int]:
    return round(face.width(text)) + 2 * _PAD_X_PX, face.line_px


def text_color(background: str) -> str:
    """Return black or white, whichever is read better on a colour.

    Source: WCAG 2.2, relative luminance (sRGB, linearised by a plain power of 2.2).
    """
    red, green, blue = (value / 255 for value in ImageColor.getrgb(background)[:3])
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "black" if luminance > 0.179 else "white"
