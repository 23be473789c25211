"""Decoding: orientation, every colour mode, limits, broken files; and the resize helpers."""

import hashlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from extract.core.errors import DataError, MnerError
from extract.images.decode import (
    center_crop,
    clip_box,
    decode_image,
    load_image,
    probe_image,
    resize_exact,
    resize_shorter_side,
    to_array,
)
from extract.images.files import UnreadableImage


def gradient(width: int = 12, height: int = 8) -> Image.Image:
    """An image without any symmetry."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 20, y * 30, x * y], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


# The eight EXIF orientations as array operations on the stored pixels (EXIF 2.32, tag 274).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored = gradient()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(stored, tmp_path / "x.png", exif=exif)
    expected = UPRIGHT[orientation](to_array(stored))
    assert np.array_equal(to_array(load_image(path)), expected)
    probe = probe_image(path)
    assert (probe.height, probe.width) == expected.shape[:2]


def test_probe_returns_the_checksum_of_the_bytes(tmp_path: Path) -> None:
    path = save(gradient(), tmp_path / "x.jpg")
    assert probe_image(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (2, 1))
    rgba.putdata([(255, 0, 0, 0), (0, 0, 255, 128)])
    pixels = to_array(load_image(save(rgba, tmp_path / "rgba.png")))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == [127, 127, 255]
    grey = Image.new("LA", (1, 1), (0, 0))
    assert to_array(load_image(save(grey, tmp_path / "la.png"))).tolist() == [[[255] * 3]]


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    opaque = to_array(load_image(save(image, tmp_path / "opaque.png")))
    assert opaque.tolist() == [[[10, 20, 30], [200, 100, 50]]]
    holed = to_array(load_image(save(image, tmp_path / "holed.png", transparency=1)))
    assert holed.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_grey_and_one_bit_fill_three_channels(tmp_path: Path) -> None:
    grey = load_image(save(Image.new("L", (1, 1), 77), tmp_path / "l.png"))
    assert to_array(grey).tolist() == [[[77, 77, 77]]]
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    assert to_array(load_image(save(bits, tmp_path / "1.png"))).tolist() == [[[0] * 3, [255] * 3]]


def test_sixteen_bit_grey_is_scaled_not_cut(tmp_path: Path) -> None:
    values = np.array([[0, 128 * 257, 65535, 256]], np.uint16)
    for suffix in ("png", "tiff"):
        path = save(Image.fromarray(values), tmp_path / f"x.{suffix}")
        assert to_array(load_image(path))[0, :, 0].tolist() == [0, 128, 255, 1]
    (tmp_path / "x.pgm").write_bytes(b"P5 4 1 65535\n" + values.astype(">u2").tobytes())
    assert to_array(load_image(tmp_path / "x.pgm"))[0, :, 0].tolist() == [0, 128, 255, 1]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    pixel = to_array(load_image(save(cyan, tmp_path / "x.jpg", quality=100)))[4, 4].astype(int)
    assert np.abs(pixel - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"x.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, **options)
    assert to_array(load_image(path))[4, 4].tolist() == [255, 0, 0]


def test_the_name_does_not_decide_the_format(tmp_path: Path) -> None:
    gradient().save(tmp_path / "x.jpg", format="PNG")
    assert np.array_equal(to_array(load_image(tmp_path / "x.jpg")), to_array(gradient()))


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = save(Image.fromarray(noise), tmp_path / f"whole.{suffix}")
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    load_image(whole)
    with pytest.raises(UnreadableImage):
        probe_image(cut)


def test_truncated_files_are_refused_even_if_another_library_allowed_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = save(gradient(200, 200), tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UnreadableImage, match="broken image data"):
        load_image(tmp_path / "cut.jpg")


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes cannot hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8000, 30_000])
def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(huge_png(side, side))
    with pytest.raises(UnreadableImage, match="limit"):
        load_image(tmp_path / "bomb.png")


def test_the_pixel_limit_is_inclusive(tmp_path: Path) -> None:
    data = save(gradient(12, 8), tmp_path / "x.png").read_bytes()
    assert decode_image(data, max_pixels=96).size == (12, 8)
    with pytest.raises(UnreadableImage, match="12 x 8 pixels are over the limit of 95"):
        decode_image(data, max_pixels=95)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "empty file"),
        (b"<html>404</html>", "not an image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a known format"),
        (b"\xff\xd8\xff\xe0", "."),
    ],
)
def test_the_reason_is_a_few_words_without_a_path(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason) as caught:
        load_image(path)
    assert isinstance(caught.value, MnerError)
    assert str(tmp_path) not in str(caught.value)
    assert not set("\t\n") & set(str(caught.value))


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="not a file"):
        load_image(tmp_path)


def test_threads_decode_what_one_thread_decodes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [
        save(Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)), tmp_path / f"{i}.jpg")
        for i in range(12)
    ]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(load_image, paths))
    for path, image in zip(paths, parallel, strict=True):
        assert np.array_equal(to_array(image), to_array(load_image(path)))


def test_shorter_side_is_exact_and_longer_side_rounded_down() -> None:
    # Sizes stated for VEC-MNER (640 x 401) and Co-MIPN (400 x 300 to 341 x 256).
    assert resize_shorter_side(gradient(640, 401), 224).size == (357, 224)
    assert resize_shorter_side(gradient(400, 300), 256, resample="bilinear").size == (341, 256)
    assert resize_shorter_side(gradient(31, 90), 128).size == (128, 371)
    assert resize_exact(gradient(), (5, 7)).size == (5, 7)


def test_an_extremely_long_image_stays_small() -> None:
    image = Image.new("RGB", (20_000, 2), "black")
    image.paste((255, 0, 0), (9_990, 0, 10_010, 2))
    resized = resize_shorter_side(image, 64)
    assert resized.size == (1024, 64)
    assert to_array(resized)[32, 512].tolist() == [255, 0, 0]


def test_center_crop_offsets() -> None:
    columns = Image.fromarray(np.arange(9, dtype=np.uint8)[None].repeat(4, 0))
    assert np.asarray(center_crop(columns, 4))[0].tolist() == [2, 3, 4, 5]
    # A margin of 7 px: 3.5 is rounded to the even 4 by torchvision's rule, down by CLIP's.
    wide = Image.fromarray(np.arange(11, dtype=np.uint8)[None].repeat(4, 0))
    assert np.asarray(center_crop(wide, 4))[0, 0] == 3
    assert np.asarray(center_crop(wide, 4, rounding="half_even"))[0, 0] == 4


def test_clip_box_keeps_touched_pixels_and_at_least_one() -> None:
    assert clip_box((1.2, 2.9, 4.1, 5.0), 10, 10) == (1, 2, 5, 5)
    assert clip_box((-5, -5, 100, 100), 10, 8) == (0, 0, 10, 8)
    assert clip_box((3, 3, 3, 3), 10, 10) == (3, 3, 4, 4)
    assert clip_box((50, 50, 60, 60), 10, 8) == (9, 7, 10, 8)
    assert clip_box((-9, -9, -5, -5), 10, 8) == (0, 0, 1, 1)
    with pytest.raises(DataError, match="finite"):
        clip_box((0, 0, float("nan"), 1), 10, 10)


def test_a_draft_is_smaller_upright_and_no_less_than_asked(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.effect_mandelbrot((1200, 640), (-2, -1, 1, 1), 60).convert("RGB")
    photo.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    data = (tmp_path / "photo.jpg").read_bytes()
    draft = decode_image(data, draft_px=150)
    whole = decode_image(data)
    assert (whole.size, draft.size) == ((640, 1200), (160, 300))
    near = np.asarray(whole.resize((160, 300), Image.Resampling.BOX), float)
    assert np.abs(near - np.asarray(draft, float)).mean() < 4
    assert decode_image(data, draft_px=700).size == (640, 1200)
