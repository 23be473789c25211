"""One tile of a sheet: the picture, or why there is none, and below it what is known of it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from extract.images.unchanged import load_unchanged
from extract.look.contact_sheet.content import Content
from extract.look.contact_sheet.picture import BACKGROUND, draw_picture
from extract.look.contact_sheet.text import (
    GREY,
    RED,
    Paragraph,
    Piece,
    PlacedWord,
    Typeface,
    draw_lines,
    wrap,
)
from extract.tables.images_table import ImageRow

TILE_PX = 480
"""Width of a tile."""

_LEAST_PICTURE_PX, _MOST_PICTURE_PX = 140, 400
_MARGIN_PX = 24
_MOST_HEADING_PX = 140
_GAP_PX = 6


@dataclass(frozen=True)
class Faces:
    """The sizes of type on a sheet."""

    title: Typeface
    body: Typeface
    label: Typeface


def make_faces(font: Path | None = None) -> Faces:
    """Return the type of a font file, or of the font inside Pillow."""
    return Faces(Typeface(17, font), Typeface(14, font), Typeface(13, font))


def draw_tile(content: Content, faces: Faces) -> Image.Image:
    """Return one tile: picture or reason, title, paragraphs; as high as it needs to be.

    Raises:
        DataError: the image file is not the one that images.tsv describes.
    """
    if content.row.status == "ok":
        limits = (TILE_PX, _LEAST_PICTURE_PX, _MOST_PICTURE_PX)
        image = load_unchanged(content.row)
        picture = draw_picture(image, content.boxes, content.words, faces.label, limits)
    else:
        picture = _grey_picture(content.row, faces)
    indent = _heading_width(content.paragraphs, faces.label)
    blocks = [_title(content.row, faces)]
    blocks += [_paragraph(paragraph, faces, indent) for paragraph in content.paragraphs]
    height = picture.height + sum(block.height + _GAP_PX for block in blocks)
    tile = Image.new("RGB", (TILE_PX, height), "white")
    tile.paste(picture, (0, 0))
    y = picture.height
    for block in blocks:
        tile.paste(block, (0, y + _GAP_PX))
        y += block.height + _GAP_PX
    return tile


def _grey_picture(row: ImageRow, faces: Faces) -> Image.Image:
    """Return a plain area that says why there is no picture."""
    lines = wrap([Piece(row.status, RED)], faces.title, TILE_PX - 2 * _MARGIN_PX)
    reason = wrap([Piece(row.reason)], faces.body, TILE_PX - 2 * _MARGIN_PX)
    height = faces.title.line_px * len(lines) + faces.body.line_px * len(reason)
    area = Image.new("RGB", (TILE_PX, max(_LEAST_PICTURE_PX, height + 2 * _MARGIN_PX)), BACKGROUND)
    draw = ImageDraw.Draw(area)
    top = (area.height - height) // 2
    draw_lines(draw, lines, faces.title, (_MARGIN_PX, top))
    draw_lines(draw, reason, faces.body, (_MARGIN_PX, top + faces.title.line_px * len(lines)))
    return area


def _title(row: ImageRow, faces: Faces) -> Image.Image:
    size = f"{row.width} x {row.height} px" if row.status == "ok" else ""
    pieces = [Piece(row.image_id), Piece(size, GREY)]
    return text_block(wrap(pieces, faces.title, TILE_PX), faces.title, TILE_PX)


def _heading_width(paragraphs: Iterable[Paragraph], face: Typeface) -> int:
    """Return the px that the headings of a tile take, the gap after them included."""
    widest = max((face.width(face.printable(p.heading)) for p in paragraphs), default=0)
    return min(math.ceil(widest), _MOST_HEADING_PX) + 2 * _GAP_PX


def _paragraph(paragraph: Paragraph, faces: Faces, indent: int) -> Image.Image:
    """Return heading and text side by side."""
    heading = wrap([Piece(paragraph.heading, GREY)], faces.label, indent - 2 * _GAP_PX)
    text = wrap(paragraph.pieces, faces.body, TILE_PX - indent)
    height = max(faces.label.line_px * len(heading), faces.body.line_px * len(text))
    block = Image.new("RGB", (TILE_PX, height), "white")
    draw = ImageDraw.Draw(block)
    # On one base line with the larger text.
    draw_lines(draw, heading, faces.label, (0, faces.body.ascent - faces.label.ascent))
    draw_lines(draw, text, faces.body, (indent, 0))
    return block


def text_block(lines: Sequence[Sequence[PlacedWord]], face: Typeface, width_px: int) -> Image.Image:
    """Return lines of text on white."""
    block = Image.new("RGB", (width_px, face.line_px * len(lines)), "white")
    draw_lines(ImageDraw.Draw(block), lines, face, (0, 0))
    return block
