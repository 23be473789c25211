"""Pixels: the stores that the models read, whole image and crops."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import center_crop

from extract.core.errors import DataError
from extract.extractors.pixels import Extractor, Options
from extract.tables.rows import STATUS, Item


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


def rows(options: Options, item: Item) -> np.ndarray:
    """Return the rows of one item as squares, shape (R, size, size, 3)."""
    result = Extractor(options).extract([item])[0].features
    return result.reshape(-1, *Extractor.outputs(options).item_shape)


def test_pixels_224_is_shorter_side_bicubic_then_centre() -> None:
    image = noise(640, 401)
    resized = np.asarray(image.resize((357, 224), Image.Resampling.BICUBIC))
    result = rows(Options(), Item("a", image))
    assert result.dtype == np.uint8
    assert np.array_equal(result[0], resized[:, 66 : 66 + 224])


def test_pixels_224_in_is_shorter_side_256_bilinear_then_centre() -> None:
    image = noise(400, 300)
    options = Options(shorter_side=256, resample="bilinear", crop_rounding="half_even")
    # Sizes and offsets that Co-MIPN's transform gives for 400 x 300: 341 x 256, left 58, top 16.
    resized = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))
    expected = resized[16 : 16 + 224, 58 : 58 + 224]
    assert np.array_equal(rows(options, Item("a", image))[0], expected)


@pytest.mark.parametrize("width", [225, 226, 227, 229, 231])
def test_half_even_rounding_is_torchvisions(width: int) -> None:
    image = noise(width, 224)
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    expected = center_crop(tensor, [224, 224]).permute(1, 2, 0).numpy()
    result = rows(Options(crop_rounding="half_even"), Item("a", image))
    assert np.array_equal(result[0], expected)


def test_exact_squeezes_the_whole_image() -> None:
    image = noise(60, 30)
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(rows(Options(size=32, resize="exact"), Item("a", image))[0], expected)


def test_every_box_gives_the_row_of_its_own_crop() -> None:
    image = noise(100, 80)
    boxes = np.array([[10.4, 20.6, 50, 60], [0, 0, 100, 80], [-9, 70, 20, 99]], np.float32)
    result = rows(Options(size=16, of="crops"), Item("a", image, boxes=boxes))
    for row, area in zip(result, [(10, 20, 50, 60), (0, 0, 100, 80), (0, 70, 20, 80)], strict=True):
        crop = image.crop(area)
        assert np.array_equal(row, rows(Options(size=16), Item("crop", crop))[0])


def test_a_degenerate_box_still_gives_its_row() -> None:
    image = noise(20, 20)
    boxes = np.array([[5, 5, 5, 5], [30, 30, 40, 40]], np.float32)
    result = rows(Options(size=8, of="crops"), Item("a", image, boxes=boxes))
    assert result.shape == (2, 8, 8, 3)
    assert (result[0] == image.getpixel((5, 5))).all()
    assert (result[1] == image.getpixel((19, 19))).all()


def test_only_the_first_crops_are_cut_unless_all_are_wanted() -> None:
    boxes = np.array([[i, 0, i + 5, 5] for i in range(7)], np.float32)
    item = Item("a", noise(20, 20), boxes=boxes)
    three = rows(Options(size=4, of="crops"), item)
    everything = rows(Options(size=4, of="crops", max_crops=None), item)
    assert len(three) == 3 and len(everything) == 7
    assert np.array_equal(three, everything[:3])


@pytest.mark.parametrize("boxes", [None, np.zeros((0, 4), np.float32)])
def test_no_box_is_nothing_found_in_words(boxes: np.ndarray | None) -> None:
    result = Extractor(Options(size=4, of="crops")).extract([Item("a", noise(9, 9), boxes=boxes)])
    assert result[0].status == STATUS["nothing_found"]
    assert result[0].features.shape == (0, 48)
    assert "no box" in result[0].reason


def test_a_box_that_is_no_number_is_an_error() -> None:
    boxes = np.array([[0, 0, np.nan, 5]], np.float32)
    with pytest.raises(DataError, match="finite"):
        Extractor(Options(size=4, of="crops")).extract([Item("a", noise(9, 9), boxes=boxes)])


def test_what_an_item_must_carry_follows_from_the_options() -> None:
    assert Extractor(Options()).needs == {"image"}
    assert Extractor(Options(of="crops")).needs == {"image", "boxes"}
    assert Extractor.needs == {"image"}


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"max_crops": 0},
        {"shorter_side": 100},
        {"shorter_side": 256, "resize": "exact"},
    ],
)
def test_options_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="|".join(options)):
        Options(**options)
