"""From a picture's plan to its pixels."""

import random
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from extract.sample.captions import SIGN
from extract.sample.objects import paste_object
from extract.sample.pen import Colour
from extract.sample.picture import BACKGROUNDS, PicturePlan, Placed

SCALE = 2
"""Drawn this many times larger and then averaged, which smooths the edges."""

_SMALLEST_TEXT_PX = 14
_BLACK, _WHITE = (24, 24, 28), (250, 249, 243)
_GAP = "  "
"""Between two written words: with one space OCR joins some of them."""


def draw_picture(plan: PicturePlan) -> Image.Image:
    """Return the upright RGB image of a plan; equal plans give equal pixels."""
    canvas = Image.new(
        "RGB", (plan.width * SCALE, plan.height * SCALE), BACKGROUNDS[plan.background]
    )
    rng = random.Random(plan.seed)
    _draw_pattern(canvas, plan, rng)
    surface = ImageDraw.Draw(canvas)
    for placed in (*plan.clutter, *plan.mains):
        if placed.kind == SIGN:
            _draw_sign(surface, placed, plan.lines)
        else:
            paste_object(canvas, placed, scale=SCALE)
    return _add_grain(canvas.reduce(SCALE), plan)


def _draw_pattern(canvas: Image.Image, plan: PicturePlan, rng: random.Random) -> None:
    """Cover the plain background with a faint pattern."""
    surface = ImageDraw.Draw(canvas)
    width, height = canvas.size
    step, dot = SCALE * rng.randint(14, 30), 3 * SCALE
    if plan.pattern == "gradient":
        ramp = Image.linear_gradient("L").resize(canvas.size)
        canvas.paste(plan.shade, mask=ramp)
    elif plan.pattern == "stripes":
        for x in range(0, width, 2 * step):
            surface.rectangle((x, 0, x + step - 1, height), fill=plan.shade)
    elif plan.pattern == "dots":
        for x in range(step // 2, width, step):
            for y in range(step // 2, height, step):
                surface.ellipse((x - dot, y - dot, x + dot, y + dot), fill=plan.shade)


def _add_grain(image: Image.Image, plan: PicturePlan) -> Image.Image:
    """Add grey noise, which makes the file size a matter of the noise and not of the object."""
    generator = np.random.default_rng(plan.seed)
    grain = generator.standard_normal((plan.height, plan.width, 1), dtype=np.float32) * plan.noise
    pixels = np.asarray(image, dtype=np.float32) + grain
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font inside Pillow, so that no system font is needed."""
    return ImageFont.load_default(size)


def _draw_sign(surface: ImageDraw.ImageDraw, placed: Placed, lines: tuple[str, ...]) -> None:
    """Draw a board with dark writing; a frame around it would make OCR take it for a picture."""
    x0, y0, x1, y1 = (SCALE * edge for edge in placed.box)
    rng = random.Random(placed.seed)
    writing = _mixed(placed.palette.ink, _BLACK, rng.uniform(0.2, 1))
    paper = _mixed(placed.palette.main, _WHITE, rng.uniform(0.85, 1))
    surface.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), radius=6 * SCALE, fill=paper)
    margin = 9 * SCALE
    room = (x1 - x0 - 2 * margin, y1 - y0 - 2 * margin)
    size = rng.randint(24, 30)
    font, rows = _fit(lines, room, size)
    pitch = round(font.size * 1.25)
    top = (y0 + y1 - pitch * len(rows)) / 2
    is_centred = rng.random() < 0.7
    for index, row in enumerate(rows):
        left = (x0 + x1 - font.getlength(row)) / 2 if is_centred else x0 + margin
        surface.text((left, top + index * pitch), row, font=font, fill=writing)


def _fit(
    lines: tuple[str, ...], room: tuple[float, float], size: int
) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """Wrap the lines and shrink the font until every word and every row fits."""
    while True:
        font = _font(size * SCALE)
        rows = [row for line in lines for row in _wrap(line, font, room[0])]
        widest = max(font.getlength(row) for row in rows)
        fits = widest <= room[0] and len(rows) * font.size * 1.25 <= room[1]
        if fits or size <= _SMALLEST_TEXT_PX:
            return font, rows
        size -= 1


def _wrap(line: str, font: ImageFont.FreeTypeFont, room: float) -> list[str]:
    rows: list[str] = []
    for word in line.split():
        longer = f"{rows[-1]}{_GAP}{word}" if rows else ""
        if longer and font.getlength(longer) <= room:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Return a colour between two, `share` of the way to the other."""
    return tuple(round((1 - share) * a + share * b) for a, b in zip(one, other, strict=True))
