"""Images as they are found in the wild, through the real commands and every extractor.

Each is one finite result or a status with a reason. What decodes to known pixels has a plain twin,
a PNG of the upright RGB picture: an extractor must find the same in both.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from extract.images.decode import resize_shorter_side
from extract.store import FeatureStore
from extract.tables.images_table import read_images
from extract.tables.rows import STATUS
from tests.builders.extract.tiny_plugins import CASES, Workbench, assert_every_plugin_has_a_case

RNG = np.random.default_rng(7)
SIZE = (60, 44)
"""Width and height."""


def blobs(width: int = SIZE[0], height: int = SIZE[1], channels: int = 3) -> np.ndarray:
    """Smooth blobs without any symmetry, shape (H, W, channels), uint8."""
    blocks = Image.fromarray(RNG.integers(0, 256, (4, 5, 3), np.uint8))
    pixels = np.asarray(blocks.resize((width, height), Image.Resampling.BICUBIC))
    return pixels[:, :, :channels]


def palette_image() -> Image.Image:
    return Image.fromarray(blobs()).quantize(16)


def write_palette(path: Path) -> np.ndarray:
    image = palette_image()
    image.save(path)
    return np.asarray(image.convert("RGB"))


def write_transparent_palette(path: Path) -> np.ndarray:
    image = palette_image()
    image.save(path, transparency=3)
    upright = np.array(image.convert("RGB"))
    upright[np.asarray(image) == 3] = 255
    return upright


def write_cmyk(path: Path) -> np.ndarray:
    image = Image.fromarray(blobs()).convert("CMYK")
    image.save(path, "jpeg", quality=95)
    with Image.open(path) as saved:
        assert saved.mode == "CMYK"
        return np.asarray(saved.convert("RGB"))


def write_grey16(path: Path) -> np.ndarray:
    grey = blobs(channels=1)
    # A step of 8 bits is 65535 / 255 = 257; less than half of it is rounded off.
    values = grey[:, :, 0].astype(int) * 257 + RNG.integers(-120, 121, SIZE[::-1])
    Image.fromarray(values.clip(0, 65535).astype(np.uint16)).save(path)
    with Image.open(path) as saved:
        assert saved.mode.startswith("I")
    return grey.repeat(3, axis=2)


def write_grey_alpha(path: Path) -> np.ndarray:
    grey = blobs(channels=1)[:, :, 0]
    hidden = np.add.outer(np.arange(SIZE[1]), np.arange(SIZE[0])) % 30 < 8
    alpha = np.where(hidden, 0, 255).astype(np.uint8)
    Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha))).save(path)
    return np.where(hidden, 255, grey)[:, :, None].repeat(3, axis=2).astype(np.uint8)


def write_animation(path: Path) -> np.ndarray:
    frames = [palette_image() for _ in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    with Image.open(path) as saved:
        assert saved.n_frames == 3
    return np.asarray(frames[0].convert("RGB"))


def write_png(path: Path, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    pixels = blobs(width, height)
    Image.fromarray(pixels).save(path, "png")
    return pixels


def write_jpeg(path: Path, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    Image.fromarray(blobs(width, height)).save(path, "jpeg", quality=95)
    with Image.open(path) as saved:
        return np.asarray(saved)


def write_turned(path: Path, stored: Image.Image) -> np.ndarray:
    """Orientation 6: a quarter turn clockwise makes it upright (EXIF 2.32, tag 274)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(path, "jpeg", quality=95, exif=exif)
    with Image.open(path) as saved:
        return np.rot90(np.asarray(saved), -1)


def write_turned_sign(path: Path) -> np.ndarray:
    sign = Image.new("RGB", (220, 90), "white")
    ImageDraw.Draw(sign).text((30, 20), "London", "black", ImageFont.load_default(40))
    return write_turned(path, sign.transpose(Image.Transpose.ROTATE_90))


def bomb() -> bytes:
    """A PNG of a few bytes that claims 65,500 px a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 65_500, 65_500, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


# File name -> writer that returns the upright RGB pixels.
READABLE: dict[str, Callable[[Path], np.ndarray]] = {
    "palette.png": write_palette,
    "palette_holed.png": write_transparent_palette,
    "cmyk.jpg": write_cmyk,
    "grey16.png": write_grey16,
    "grey_alpha.png": write_grey_alpha,
    "animation.gif": write_animation,
    "one_pixel.png": lambda path: write_png(path, 1, 1),
    "wide.png": lambda path: write_png(path, 20_000, 10),
    "turned.jpg": lambda path: write_turned(path, Image.fromarray(blobs())),
    "turned_sign.jpg": write_turned_sign,
    "png_named.jpg": write_png,
    "jpeg_named.png": write_jpeg,
    # No JPEG may be longer.
    "longest_side.jpg": lambda path: write_jpeg(path, 65_500, 8),
    "high.png": lambda path: write_png(path, 3, 9_000),
}

# File name -> (bytes made from those of a whole JPEG, status, what the reason says).
BROKEN: dict[str, tuple[Callable[[bytes], bytes] | None, str, str]] = {
    "truncated.jpg": (lambda whole: whole[: len(whole) // 2], "unreadable", "broken image data"),
    "empty.jpg": (lambda whole: b"", "unreadable", "empty file"),
    "text.jpg": (lambda whole: b"see attachment\n", "unreadable", "not an image"),
    "header_only.jpg": (lambda whole: whole[:24], "unreadable", "image"),
    "bomb.png": (lambda whole: bomb(), "unreadable", "limit"),
    "absent.jpg": (None, "missing", "no file"),
}

TWINS = [Path(name).stem for name in READABLE]
BAD = {Path(name).stem: (status, reason) for name, (_, status, reason) in BROKEN.items()}
IDS = [*(image_id for stem in TWINS for image_id in (stem, f"{stem}_plain")), *BAD]

# These have a row for every picture there is; the others may find nothing in it.
ALWAYS = {"random", "pixels", "pixels_crops", "vgg", "clip", "caption", "annotations"}
READ_NO_IMAGE = {"caption_list"}
# Other images share their batches, which moves the last digits.
TOLERANCE = {"features": 2e-3, "boxes": 2e-2, "scores": 1e-5}
UNMOVED = {"caption_list", "annotations"}
"""What they find in these images does not depend on their pixels."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder = tmp_path_factory.mktemp("hostile")
    bench = Workbench(folder, IDS)
    bench.images.mkdir()
    boxes = {}
    for name, write in READABLE.items():
        upright, stem = write(bench.images / name), Path(name).stem
        Image.fromarray(upright).save(bench.images / f"{stem}_plain.png")
        height, width = upright.shape[:2]
        # The second reaches over the edge.
        found = [[0, 0, max(1, width / 3), max(1, height / 2)], [width / 2, 0, width + 9, height]]
        boxes |= {stem: found, f"{stem}_plain": found}
    write_jpeg(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    for name, (make, _, _) in BROKEN.items():
        if make is not None:
            (bench.images / name).write_bytes(make(whole))
    bench.prepare(boxes)
    return bench


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, bench: Workbench) -> tuple[str, FeatureStore]:
    name = request.param
    return name, FeatureStore(bench.store(name))


def test_every_plugin_is_tried() -> None:
    assert_every_plugin_has_a_case()


def test_the_manifest_knows_every_image(bench: Workbench) -> None:
    rows = {row.image_id: row for row in read_images(bench.manifest)}
    assert list(rows) == IDS
    for stem in TWINS:
        hostile, plain = rows[stem], rows[f"{stem}_plain"]
        assert (hostile.status, plain.status) == ("ok", "ok"), hostile.reason
        assert (hostile.height, hostile.width) == (plain.height, plain.width)
    assert (rows["turned"].height, rows["turned"].width) == SIZE
    assert (rows["longest_side"].height, rows["longest_side"].width) == (8, 65_500)
    for image_id, (status, reason) in BAD.items():
        assert rows[image_id].status == status
        assert reason in rows[image_id].reason
        assert (rows[image_id].height, rows[image_id].width) == (0, 0)


def test_what_cannot_be_read_is_marked_with_its_reason(case: tuple[str, FeatureStore]) -> None:
    name, store = case
    if name in READ_NO_IMAGE:
        assert all(item.is_ok for _, item in store.items())
        return
    for image_id, (status, reason) in BAD.items():
        item = store.item(image_id)
        assert item.status == STATUS[status], image_id
        assert reason in item.reason
        assert item.n_rows == 0


def test_what_can_be_read_has_one_finite_result(case: tuple[str, FeatureStore]) -> None:
    name, store = case
    assert store.ids == IDS
    for stem in TWINS:
        item = store.item(stem)
        assert item.is_ok or (name not in ALWAYS and item.reason), f"{stem}: {item.reason}"
        for column in ("features", "boxes"):
            values = getattr(item, column)
            assert values is None or np.isfinite(values).all()
    assert any(store.item(stem).is_ok for stem in TWINS)


def test_an_image_gives_what_its_plain_twin_gives(case: tuple[str, FeatureStore]) -> None:
    _, store = case
    for stem in TWINS:
        item, twin = store.item(stem), store.item(f"{stem}_plain")
        assert (item.status, item.reason) == (twin.status, twin.reason), stem
        assert item.text == twin.text, stem
        for column in ("features", "boxes", "scores"):
            values, expected = getattr(item, column), getattr(twin, column)
            if values is None:
                continue
            np.testing.assert_allclose(
                values.astype(np.float64), expected.astype(np.float64),
                rtol=TOLERANCE[column], atol=TOLERANCE[column], err_msg=stem,
            )  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES.keys() - UNMOVED), indirect=True)
def test_two_pictures_are_told_apart(case: tuple[str, FeatureStore]) -> None:
    """Or the comparison with the twin would prove nothing."""
    _, store = case
    one, other = store.item("palette"), store.item("png_named")
    if one.features is not None:
        assert np.abs(one.features[0].astype(float) - other.features[0].astype(float)).max() > 0.01
    else:
        columns = ("text", "boxes", "scores")
        assert any(
            not np.array_equal(getattr(one, name), getattr(other, name))
            for name in columns
            if getattr(one, name) is not None
        )


@pytest.mark.parametrize("case", ["ocr"], indirect=True)
def test_tesseract_reads_what_stands_upright(case: tuple[str, FeatureStore]) -> None:
    _, store = case
    assert store.item("turned_sign").text == ("London",)
    too_long = store.item("longest_side")
    assert too_long.status == STATUS["unreadable"]
    assert "tesseract: Image too large" in too_long.reason


def test_the_pixels_are_those_of_the_upright_picture(bench: Workbench) -> None:
    store = FeatureStore(bench.store("pixels"))
    for stem in TWINS:
        with Image.open(bench.images / f"{stem}_plain.png") as plain:
            square = resize_shorter_side(plain, 16)
        left, top = ((side - 16) // 2 for side in square.size)
        expected = np.asarray(square)[top : top + 16, left : left + 16]
        found = store.item(stem).features.reshape(16, 16, 3)
        np.testing.assert_array_equal(found, expected, err_msg=stem)
