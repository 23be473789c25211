"""Running text on a drawing: a font that is always there, and lines that fit a width."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from extract.core.errors import DataError, MissingFileError

INK, GREY, RED = "#1a1a1a", "#777777", "#b00020"

# What Pillow's own font lacks and its letters can say.
_SAID_AS = {"–": "-", "—": "-", "−": "-", "×": "x", "•": "·", "→": "->", "←": "<-", "′": "'"}

_NO_CHARACTER = "\U0010ffff"


class Typeface:
    """A font in one size that draws any text: what it lacks becomes its base letter or a box.

    Args:
        size_px: height of the letters' body.
        path: TrueType or OpenType font; None takes the one inside Pillow (English letters only).

    Raises:
        MissingFileError: no such font file.
        DataError: the file is no font.
    """

    def __init__(self, size_px: int, path: Path | None = None) -> None:
        self.font = _load_font(size_px, path)
        self.ascent, descent = self.font.getmetrics()
        """Height of the letters above the base line, px."""
        self.line_px = self.ascent + descent + 2
        """Height of a line, px."""
        self._missing = _bitmap(self.font, _NO_CHARACTER)
        self._shown: dict[str, str] = {}

    def width(self, text: str) -> float:
        """Return the width of a text in px."""
        return self.font.getlength(text)

    def printable(self, text: str) -> str:
        """Return what is drawn for a text: one line, single spaces, known letters."""
        return " ".join("".join(map(self._character, text)).split())

    def _character(self, character: str) -> str:
        if character not in self._shown:
            self._shown[character] = self._find_character(character)
        return self._shown[character]

    def _find_character(self, character: str) -> str:
        category = unicodedata.category(character)
        if character.isspace() or category in ("Cc", "Zl", "Zp"):
            return " "
        if self._has(character):
            return character
        # Joiners, direction marks and accents of their own take no room.
        if category in ("Cf", "Mn", "Me"):
            return ""
        if character in _SAID_AS:
            return _SAID_AS[character]
        parts = unicodedata.normalize("NFKD", character)
        base = "".join(part for part in parts if unicodedata.category(part) != "Mn")
        return base if base and all(map(self._has, base)) else _NO_CHARACTER

    def _has(self, character: str) -> bool:
        return _bitmap(self.font, character) != self._missing


def _load_font(size_px: int, path: Path | None) -> ImageFont.FreeTypeFont:
    if path is None:
        return ImageFont.load_default(size=size_px)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such font file.")
    try:
        return ImageFont.truetype(str(path), size_px)
    except OSError as error:
        raise DataError(f"{path}: not a TrueType or OpenType font ({error}).") from error


@cache
def _bitmap(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


@dataclass(frozen=True)
class Piece:
    """A stretch of text in one colour; with a chip or a note it stays on one line if it can."""

    text: str
    color: str = INK
    chip: str = ""
    """Colour of a square drawn before the text; empty for none."""
    note: str = ""
    """Grey text after it."""


@dataclass(frozen=True)
class Paragraph:
    """A heading beside some text."""

    heading: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class PlacedWord:
    """A word and where it begins in its line, px."""

    x: float
    text: str
    color: str
    chip: str = ""


CHIP_PX = 10
_CHIP_GAP_PX = 4


def wrap(pieces: Iterable[Piece], face: Typeface, width_px: int) -> list[list[PlacedWord]]:
    """Break text into lines; a word longer than a line is broken too.

    Returns:
        Lines of placed words; at least one line.
    """
    lines: list[list[PlacedWord]] = [[]]
    x, space = 0.0, face.width(" ")
    for piece in pieces:
        words = _words(piece, face, width_px)
        whole = sum(_extent(word, face) for word in words) + space * (len(words) - 1)
        if (piece.chip or piece.note) and x + whole > width_px >= whole:
            lines.append([])
            x = 0.0
        for word in words:
            if lines[-1] and x + _extent(word, face) > width_px:
                lines.append([])
                x = 0.0
            lines[-1].append(replace(word, x=x))
            x += _extent(word, face) + space
        # A wider gap between pieces than between words.
        x += 1.5 * space
    return [line for line in lines if line] or [[]]


def _words(piece: Piece, face: Typeface, width_px: int) -> list[PlacedWord]:
    """Return the words of a piece, the first with its chip, not yet placed."""
    limit = width_px - (CHIP_PX + _CHIP_GAP_PX if piece.chip else 0)
    words = [
        PlacedWord(0.0, part, color)
        for text, color in ((piece.text, piece.color), (piece.note, GREY))
        for word in face.printable(text).split()
        for part in _break(word, face, limit)
    ]
    words = words or [PlacedWord(0.0, "", piece.color)]
    return [replace(words[0], chip=piece.chip), *words[1:]]


def _extent(word: PlacedWord, face: Typeface) -> float:
    return face.width(word.text) + (CHIP_PX + _CHIP_GAP_PX if word.chip else 0)


def _break(word: str, face: Typeface, width_px: int) -> list[str]:
    """Return the parts of a word that fit a line."""
    parts = [""]
    for character in word:
        if parts[-1] and face.width(parts[-1] + character) > width_px:
            parts.append("")
        parts[-1] += character
    return parts


def shorten(text: str, face: Typeface, width_px: float) -> str:
    """Return a text that is drawn within a width, `...` for what is left out."""
    text = face.printable(text)
    if face.width(text) <= width_px:
        return text
    while text and face.width(text + "...") > width_px:
        text = text[:-1]
    return text.rstrip() + "..."


def draw_lines(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[Sequence[PlacedWord]],
    face: Typeface,
    corner: tuple[int, int],
) -> None:
    """Draw lines of `wrap` downwards from a corner (x, y)."""
    for number, line in enumerate(lines):
        y = corner[1] + number * face.line_px
        for word in line:
            x = corner[0] + word.x
            if word.chip:
                top = y + (face.line_px - CHIP_PX) // 2
                draw.rectangle((x, top, x + CHIP_PX - 1, top + CHIP_PX - 1), fill=word.chip)
                x += CHIP_PX + _CHIP_GAP_PX
            draw.text((x, y), word.text, fill=word.color, font=face.font)
