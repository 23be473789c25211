"""Tiles side by side on numbered PNG sheets."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from extract.core.files import write_text
from extract.crops.cutting import save_png
from extract.look.contact_sheet.content import SURE, WORD_COLOR, Content, Stores
from extract.look.contact_sheet.text import GREY, INK, Piece, wrap
from extract.look.contact_sheet.tile import TILE_PX, Faces, draw_tile, make_faces, text_block

INDEX = "sheets.tsv"
MARGIN_PX = 24

_SHEET = re.compile(r"sheet_\d{4,}\.png")


def draw_legend(stores: Stores, faces: Faces, width_px: int) -> Image.Image:
    """Return the line at the top of a sheet that explains colours and numbers."""
    pieces = [Piece(name, INK, colors[0]) for name, colors in stores.colors.items()]
    if pieces:
        pieces.append(Piece("number = row of the store and of its crop", GREY))
    hint = f"(dashed; grey below {SURE:g})"
    pieces += [Piece(f"{name} {hint}", INK, WORD_COLOR) for name in stores.ocr]
    return text_block(wrap(pieces, faces.body, width_px), faces.body, width_px)


def draw_sheet(tiles: Sequence[Image.Image], legend: Image.Image, columns: int) -> Image.Image:
    """Lay tiles out in rows; each row is as high as its highest tile."""
    rows = [tiles[first : first + columns] for first in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    size = (sheet_width(columns), legend.height + sum(heights) + MARGIN_PX * (len(rows) + 2))
    sheet = Image.new("RGB", size, "white")
    sheet.paste(legend, (MARGIN_PX, MARGIN_PX))
    y = legend.height + 2 * MARGIN_PX
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (MARGIN_PX + column * (TILE_PX + MARGIN_PX), y))
        y += height + MARGIN_PX
    return sheet


def sheet_width(columns: int) -> int:
    """Return the width of a sheet in px."""
    return MARGIN_PX + columns * (TILE_PX + MARGIN_PX)


def write_sheets(
    contents: Iterable[Content],
    out: Path,
    stores: Stores,
    *,
    columns: int,
    per_sheet: int,
    font: Path | None = None,
    on_tile: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Write `sheet_0001.png`, ... and then `sheets.tsv`, which says where each image is.

    Sheets of an earlier run that are not written again are removed; other files stay. A folder
    without `sheets.tsv` is not complete.

    Args:
        contents: of the tiles, in order.
        out: folder, made where it is not there.
        stores: for the legend.
        columns: tiles side by side.
        per_sheet: tiles on a sheet.
        font: font file; None takes the one inside Pillow.
        on_tile: called after each tile.

    Returns:
        Numbers of `sheets`, `images` and `old_sheets_removed`.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / INDEX).unlink(missing_ok=True)
    faces = make_faces(font)
    legend = draw_legend(stores, faces, sheet_width(columns) - 2 * MARGIN_PX)
    places: list[tuple[str, int, int, str]] = []
    names: list[str] = []
    for group in _groups(contents, per_sheet):
        tiles = []
        names.append(f"sheet_{len(names) + 1:04d}.png")
        for place, content in enumerate(group):
            tiles.append(draw_tile(content, faces))
            row, column = divmod(place, columns)
            places.append((names[-1], row + 1, column + 1, content.row.image_id))
            on_tile()
        save_png(draw_sheet(tiles, legend, columns), out / names[-1])
    old = [p for p in out.iterdir() if _SHEET.fullmatch(p.name) and p.name not in names]
    for path in old:
        path.unlink()
    _write_index(out / INDEX, places)
    return {"sheets": len(names), "images": len(places), "old_sheets_removed": len(old)}


def _groups(contents: Iterable[Content], size: int) -> Iterator[list[Content]]:
    group: list[Content] = []
    for content in contents:
        group.append(content)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _write_index(path: Path, places: Iterable[Sequence[object]]) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(("sheet", "row", "column", "image_id"))
    writer.writerows(places)
    write_text(path, buffer.getvalue())
