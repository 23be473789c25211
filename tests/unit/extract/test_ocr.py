"""OCR: words with boxes on a rendered image and on photos, and errors that name the remedy."""

import re
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from extract.errors import MissingToolError
from extract.extractors import ocr
from extract.extractors.base import Item
from extract.images import load_image
from extract.manifest import STATUS

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="the program tesseract is not installed"
)


def sign(words: dict[str, tuple[int, int]], *, size_px: int = 26, side: int = 256) -> Image.Image:
    """Draw words at their top-left corners, black on white."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(FONT), size_px)
    for word, corner in words.items():
        draw.text(corner, word, "black", font)
    return image


def load(**options: object) -> ocr.Extractor:
    extractor = ocr.Extractor(ocr.Options(**options))
    extractor.load({}, "cpu")
    return extractor


def ink_box(image: Image.Image) -> np.ndarray:
    """Return the box of the dark pixels, x2/y2 exclusive."""
    y, x = np.nonzero(np.asarray(image.convert("L")) < 128)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)


@needs_tesseract
def test_a_rendered_word_is_read_with_its_box_and_confidence() -> None:
    image = sign({"Liverpool": (60, 110)})
    result = load(psm=6).extract([Item("a", image)])[0]
    assert result.text == ["Liverpool"]
    assert np.abs(result.boxes[0] - ink_box(image)).max() <= 3
    assert 0.6 < result.scores[0] <= 1


@needs_tesseract
def test_enlarging_maps_boxes_back_to_the_original() -> None:
    image = sign({"London": (30, 60)}, size_px=16, side=128)
    result = load(psm=6, enlarge=3).extract([Item("a", image)])[0]
    assert result.text == ["London"]
    assert np.abs(result.boxes[0] - ink_box(image)).max() <= 3
    not_small = load(psm=6, enlarge=3, enlarge_below_px=128)
    assert not_small._factor(image) == 1 and load(enlarge=3)._factor(image) == 3


@needs_tesseract
def test_words_are_in_reading_order_and_weak_ones_can_be_dropped() -> None:
    image = sign({"Third": (20, 150), "Second": (140, 40), "First": (20, 40)})
    result = load(psm=3).extract([Item("a", image)])[0]
    assert result.text == ["First", "Second", "Third"]
    lowest, highest = float(result.scores.min()), float(result.scores.max())
    everything = load(psm=3, min_confidence=lowest - 0.01).extract([Item("a", image)])[0]
    assert everything.text == result.text
    nothing = load(psm=3, min_confidence=min(1.0, highest + 0.01)).extract([Item("a", image)])[0]
    assert nothing.status == STATUS["nothing_found"]


@needs_tesseract
def test_an_image_without_text_is_nothing_found() -> None:
    result = load().extract([Item("a", Image.new("RGB", (64, 64), "white"))])[0]
    assert result.status == STATUS["nothing_found"]
    assert result.boxes.shape == (0, 4) and result.reason == "no text found in the image"


@needs_tesseract
def test_an_image_that_tesseract_refuses_does_not_stop_the_others() -> None:
    long_strip = Image.new("RGB", (40_000, 4), "white")
    refused, read = load(psm=6).extract(
        [Item("a", long_strip), Item("b", sign({"ok then": (9, 9)}))]
    )
    assert refused.status == STATUS["unreadable"] and "tesseract" in refused.reason
    assert refused.n_rows == 0
    assert read.text == ["ok", "then"]


@needs_tesseract
def test_the_version_is_recordable() -> None:
    version = ocr.Extractor(ocr.Options()).tool_versions()["tesseract"]
    assert re.match(r"\d+\.\d+", version)


@needs_tesseract
def test_a_missing_language_is_named_with_its_package() -> None:
    with pytest.raises(MissingToolError, match=r"qaa; installed: .*tesseract-ocr-qaa"):
        load(language="eng+qaa")


def test_a_missing_program_is_named_with_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    import pytesseract

    monkeypatch.setattr(pytesseract.pytesseract, "tesseract_cmd", "no-such-tesseract")
    with pytest.raises(MissingToolError) as caught:
        load()
    for command in ("apt-get install tesseract-ocr", "brew install tesseract", "conda install"):
        assert command in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"language": "eng; rm"},
        {"psm": 14},
        {"psm": 0},
        {"oem": 4},
        {"min_confidence": 60.0},
        {"enlarge": 0},
    ],
)
def test_options_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ocr.Options(**options)


@needs_tesseract
@pytest.mark.slow
def test_words_are_found_in_real_photos(shared_data: Path) -> None:
    paths = sorted((shared_data / "tweets30" / "images").iterdir())
    assert len(paths) == 30
    results = load(psm=11).extract([Item(path.stem, load_image(path)) for path in paths])

    def has_word(result: object) -> bool:
        words = zip(result.text, result.scores, strict=True)
        return any(len(re.findall(r"[^\W\d_]", w)) >= 2 and score >= 0.6 for w, score in words)

    assert sum(has_word(result) for result in results) >= 8
