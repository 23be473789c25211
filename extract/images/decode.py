"""Decode an image once, the same way everywhere: upright, RGB, bounded, complete.

All resizing and cropping of the project is here too, with Pillow, because the image processors of
other libraries differ from it (and from release to release). Safe to call from many threads.
"""

import hashlib
import io
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFile

from extract.core.errors import DataError
from extract.images.files import UnreadableImage, read_image_file
from extract.images.limits import ImageLimits

# Only these decoders are tried: Pillow would also hand EPS files to an external program.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")

FilterName = Literal["bicubic", "bilinear"]
Rounding = Literal["floor", "half_even"]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

_EXIF_ORIENTATION = 0x0112
# EXIF 2.32, tag 274: what turns the stored image upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's decoders raise for broken bytes.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# The aspect ratio above which the middle of an image is cut out before it is resized.
_MAX_ASPECT = 16


class ImageTooCostly(UnreadableImage):
    """Decoding an image wants more memory than there is."""


@dataclass(frozen=True)
class ImageProbe:
    """What `images.tsv` records of a readable image."""

    sha256: str
    """Of the file's bytes, hexadecimal."""
    height: int
    """Pixels of the upright image."""
    width: int


def load_image(path: Path) -> Image.Image:
    """Decode the first frame of an image file; see `decode_image`.

    Raises:
        UnreadableImage: no file, no image, too large, truncated or broken.
    """
    return decode_image(read_image_file(path), max_pixels=ImageLimits.max_pixels)


def decode_image(
    data: bytes, *, max_pixels: int | None = None, draft_px: int | None = None
) -> Image.Image:
    """Decode the first frame of an image to upright RGB.

    Transparency is laid over white, 16-bit grey is scaled to 8 bits.

    Args:
        data: of the file; its format is found from them.
        max_pixels: larger images are refused before they are decoded; None where the size of
            these bytes is known.
        draft_px: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, whatever leaves both sides
            at least this long: several times faster, and not the same pixels.

    Raises:
        UnreadableImage: no image, too large, truncated or broken.
    """
    # Global switches that other libraries turn. The first would fill the missing part with grey,
    # the second would refuse what `max_pixels` allows.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise UnreadableImage(
                    f"{width} x {height} pixels are over the limit of {max_pixels}"
                )
            if draft_px is not None:
                image.draft(None, (draft_px, draft_px))
            image.load()
            return _to_rgb(_turn_upright(image))
    except _DECODE_ERRORS as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            raise ImageTooCostly("not enough memory to decode it") from error
        raise UnreadableImage(_reason(error)) from error


def probe_image(path: Path, limits: ImageLimits | None = None) -> ImageProbe:
    """Decode an image fully and return its checksum and upright size.

    Raises:
        UnreadableImage: as `load_image`; a truncated file is found.
    """
    limits = limits or ImageLimits()
    data = read_image_file(path, max_bytes=limits.max_bytes)
    image = decode_image(data, max_pixels=limits.max_pixels)
    sha256 = hashlib.sha256(data).hexdigest()
    return ImageProbe(sha256=sha256, height=image.height, width=image.width)


def to_array(image: Image.Image) -> np.ndarray:
    """Return the pixels, shape (H, W, 3), uint8."""
    return np.array(image, dtype=np.uint8)


def resize_exact(
    image: Image.Image, size: tuple[int, int], *, resample: FilterName = "bicubic"
) -> Image.Image:
    """Resize to (width, height) whatever the aspect ratio; antialiased."""
    return image.resize(size, _FILTERS[resample])


def resize_shorter_side(
    image: Image.Image, side_px: int, *, resample: FilterName = "bicubic"
) -> Image.Image:
    """Resize so that the shorter side is `side_px`; the longer one is rounded down.

    An image more than 16 times longer than wide is first cut to its middle, which bounds the
    memory that a one-pixel-high image would take.
    """
    image = _limit_aspect(image)
    width, height = image.size
    if width <= height:
        size = (side_px, int(side_px * height / width))
    else:
        size = (int(side_px * width / height), side_px)
    return image.resize(size, _FILTERS[resample])


def center_crop(image: Image.Image, side_px: int, *, rounding: Rounding = "floor") -> Image.Image:
    """Cut the middle square out of an image whose sides are at least `side_px`.

    Args:
        image: any size; parts outside of it would be black.
        side_px: side of the square.
        rounding: of an odd margin: `floor` as CLIP's image processor does, `half_even` as
            torchvision's CenterCrop does (it passes the half to Python's `round`).
    """
    left, top = ((whole - side_px) / 2 for whole in image.size)
    round_px = math.floor if rounding == "floor" else round
    x, y = round_px(left), round_px(top)
    return image.crop((x, y, x + side_px, y + side_px))


def clip_box(xyxy: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the whole pixels that a box touches inside an image; at least one pixel.

    Args:
        xyxy: x1, y1, x2, y2 in pixels of the upright image, x2/y2 exclusive.
        width: of the image.
        height: of the image.

    Raises:
        DataError: a coordinate is not finite.
    """
    if not all(math.isfinite(value) for value in xyxy):
        raise DataError(f"box {tuple(map(float, xyxy))}: coordinates must be finite numbers")
    x1, x2 = _clip_range(xyxy[0], xyxy[2], width)
    y1, y2 = _clip_range(xyxy[1], xyxy[3], height)
    return x1, y1, x2, y2


def _clip_range(start: float, end: float, limit: int) -> tuple[int, int]:
    """Return [first, last + 1) of the pixels between two coordinates, inside 0..limit."""
    first = min(max(math.floor(start), 0), limit - 1)
    last = min(max(math.ceil(end), first + 1), limit)
    return first, last


def _limit_aspect(image: Image.Image) -> Image.Image:
    """Return the middle of an extremely long image, else the image."""
    width, height = image.size
    longest = _MAX_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return image
    if width > height:
        left = (width - longest) // 2
        return image.crop((left, 0, left + longest, height))
    top = (height - longest) // 2
    return image.crop((0, top, width, top + longest))


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; unreadable EXIF data count as none."""
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return image
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return RGB whatever the mode."""
    if image.mode.startswith("I"):
        # 16-bit grey: "I;16", or "I" from PNM files; convert() would cut at 255.
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels without a known range")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """Put a decoder's complaint in a few printable words."""
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not an image in a known format ({', '.join(FORMATS)})"
    words = " ".join(str(error).split()) or type(error).__name__
    words = "".join(char if char.isprintable() else "?" for char in words)
    return f"broken image data: {words:.120}"
