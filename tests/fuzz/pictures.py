"""Small pictures in every format that is read, and files that want to be dear to decode."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, PngImagePlugin

SIZE = (61, 43)
"""Width and height."""


def _pixels(channels: int = 3) -> Image.Image:
    rng = np.random.default_rng(5)
    blocks = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    picture = blocks.resize(SIZE, Image.Resampling.BICUBIC)
    return picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def whole_files() -> dict[str, bytes]:
    """Return legal files by name: all formats, with the coders and containers inside them."""
    rgb, grey, rgba = _pixels(), _pixels(1), _pixels(4)
    frames = [rgb.rotate(angle) for angle in (0, 90, 180)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 30}
    exif = Image.Exif()
    exif[0x0112] = 6
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "x" * 200, zip=True)
    notes.add_itxt("note", "y" * 200, zip=True)
    return {
        "jpeg": _saved(rgb, "JPEG", quality=85, exif=exif),
        "jpeg_progressive": _saved(rgb, "JPEG", progressive=True, restart_marker_rows=1),
        "jpeg_grey": _saved(grey, "JPEG"),
        "jpeg_cmyk": _saved(rgb.convert("CMYK"), "JPEG"),
        "png": _saved(rgba, "PNG", pnginfo=notes, icc_profile=b"profile" * 50),
        "png_palette": _saved(rgb.quantize(16), "PNG", transparency=3),
        "png_grey16": _saved(Image.fromarray(np.asarray(grey, np.uint16) * 257), "PNG"),
        "apng": _saved(frames[0], "PNG", **moving),
        "gif": _saved(rgb.quantize(32), "GIF"),
        "gif_moving": _saved(frames[0], "GIF", **moving),
        "webp": _saved(rgb, "WEBP", quality=70, exif=exif),
        "webp_lossless": _saved(rgba, "WEBP", lossless=True),
        "webp_moving": _saved(frames[0], "WEBP", **moving),
        "bmp": _saved(rgb, "BMP"),
        "tiff": _saved(rgb, "TIFF"),
        "tiff_lzw": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff_jpeg": _saved(rgb, "TIFF", compression="jpeg"),
        "tiff_pages": _saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "ppm": _saved(rgb, "PPM"),
        "jpeg2000": _saved(rgb, "JPEG2000"),
    }


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int, *extra: bytes, colour: int = 2, rows: int = -1) -> bytes:
    """Return a PNG of one colour; of `rows` rows only, where it is not -1.

    Args:
        width: in the header, and of the rows.
        height: in the header.
        extra: chunks before the pixels.
        colour: type of PNG, section 11.2.2: 0 grey, 2 RGB, 6 RGBA.
        rows: that are there.
    """
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    packer, row = zlib.compressobj(1), bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour])
    data = b"".join(packer.compress(row) for _ in range(height if rows < 0 else rows))
    body = png_chunk(b"IDAT", data + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b"")


@cache
def _zip_of_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    piece = bytes(2**20)
    return b"".join(packer.compress(piece) for _ in range(megabytes)) + packer.flush()


def png_text_bomb(rng: random.Random) -> bytes:
    """Chunks of text or colour profile that unpack to gigabytes."""
    data = _zip_of_zeros(rng.choice((2, 64, 300)))
    chunk = rng.choice(
        (
            png_chunk(b"zTXt", b"note\0\0" + data),
            png_chunk(b"iTXt", b"note\0\1\0\0\0" + data),
            png_chunk(b"iCCP", b"note\0\0" + data),
            png_chunk(b"eXIf", b"MM\0*" + bytes(2**20)),
        )
    )
    return png_of_zeros(8, 8, *[chunk] * rng.choice((1, 3, 40)))


def png_pixel_bomb(rng: random.Random) -> bytes:
    """Many pixels of one value; those of 60,000 a side have few of their rows."""
    width, height = rng.choice(((60_000, 60_000), (65_535, 65_535), (2**31 - 1, 1), (1, 2**31 - 1)))
    if rng.random() < 0.5:
        return png_of_zeros(7_000, 7_000, colour=rng.choice((0, 2, 6)))
    return png_of_zeros(min(width, 60_000), height, rows=4) if width < 2**20 else _header(width)


def _header(width: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + png_chunk(b"IDAT", _zip_of_zeros(1))
        + png_chunk(b"IEND", b"")
    )


def gif_bomb(rng: random.Random) -> bytes:
    """A small canvas with a frame of 65,535 a side, or thousands of frames."""
    side = rng.choice((300, 7_000, 65_535))
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
    frame += b"\x02\x10" + bytes(rng.randrange(256) for _ in range(16)) + b"\0"
    return screen + frame * rng.choice((1, 3000)) + b";"


def jpeg_scan_bomb(rng: random.Random) -> bytes:
    """A progressive JPEG whose last scan is repeated thousands of times, on a large canvas."""
    side = rng.choice((64, 2_000, 6_900))
    whole = _saved(Image.new("RGB", (side, side), (90, 20, 30)), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[start:-2] * rng.choice((10, 2_000)) + whole[-2:]


def tiff_bomb(rng: random.Random) -> bytes:
    """Directories in a circle, absurd sizes, tiles and counts."""

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, count, value)

    side = rng.choice((64, 6_000, 65_535, 2**31))
    strange = rng.choice((0, 1, 2**16, 2**31, 2**32 - 1))
    entries = [
        entry(256, 4, 1, side),
        entry(257, 4, 1, rng.choice((side, 1))),
        entry(258, 3, 1, rng.choice((1, 8, 16, 64))),
        entry(259, 3, 1, rng.choice((1, 5, 7, 8, 32773, 50000))),
        entry(262, 3, 1, rng.choice((0, 1, 2, 6))),
        entry(273, 4, rng.choice((1, strange)), 8),
        entry(277, 3, 1, rng.choice((1, 3, 4, 60_000))),
        entry(278, 4, 1, rng.choice((1, side, strange))),
        entry(279, 4, rng.choice((1, strange)), strange),
    ]
    if rng.random() < 0.5:
        entries += [entry(322, 4, 1, strange), entry(323, 4, 1, strange), entry(324, 4, strange, 8)]
    # Its own EXIF directory, and the next directory is this one.
    entries.append(entry(34665, 4, 1, 8))
    table = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 8)
    return b"II*\0" + struct.pack("<I", 8) + table + bytes(rng.choice((0, 4096)))


def other_headers(rng: random.Random) -> bytes:
    """Legal headers of huge pictures in the formats that have little else."""
    side = rng.choice((6_900, 30_000, 65_535))
    ppm = f"P{rng.choice('123456')}\n{side} {side}\n255\n".encode() + bytes(99)
    bmp = bytearray(whole_files()["bmp"])
    bmp[18:26] = struct.pack("<ii", side, rng.choice((side, -side)))
    webp = bytearray(whole_files()["webp_moving"])
    webp[24:30] = struct.pack("<I", side)[:3] * 2
    jpeg2000 = whole_files()["jpeg2000"].replace(
        struct.pack(">I", SIZE[0]), struct.pack(">I", side)
    )
    jpeg = whole_files()["jpeg"].replace(
        struct.pack(">HH", *SIZE[::-1]), struct.pack(">HH", side, side)
    )
    return rng.choice((ppm, bytes(bmp), bytes(webp), jpeg2000, jpeg))


BOMBS: tuple[Callable[[random.Random], bytes], ...] = (
    png_text_bomb, png_pixel_bomb, gif_bomb, jpeg_scan_bomb, tiff_bomb, other_headers,
)  # fmt: skip
