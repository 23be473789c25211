"""OCR: words with boxes on a rendered image and on photos, and errors that name the remedy."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from extract.core.errors import ConfigError, DataError, MissingToolError
from extract.extractors import ocr
from extract.images.decode import load_image
from extract.tables.rows import STATUS, Item

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
    assert refused.status == STATUS["unreadable"] and refused.n_rows == 0
    # No path of the machine is stored.
    assert refused.reason.startswith("tesseract: Image too large") and "/" not in refused.reason
    assert read.text == ["ok", "then"]


@needs_tesseract
@pytest.mark.parametrize("size", [(1, 1), (2, 700), (20_000, 10), (9, 32_767), (9, 32_768)])
def test_odd_shapes_get_a_status(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "white")
    image.paste("black", (0, 0, size[0] // 2, size[1] // 2))
    result = load(enlarge=2).extract([Item("a", image)])[0]
    is_too_large = max(size) > 32_767
    assert (result.status == STATUS["unreadable"]) == is_too_large
    assert result.n_rows or result.reason
    assert (result.boxes[:, 2:] <= size).all() and (result.boxes >= 0).all()


TABLE = """level|page|block|par|line|word|left|top|width|height|conf|text
1|1|0|0|0|0|0|0|300|300|-1|
4|1|1|1|1|0|30|60|60|61|-1|
5|1|1|1|1|1|30|60|60|61|96.063751|"Lon don"
5|1|1|1|1|2|91|60|9|9|95.000000| \u2003
5|1|2|1|1|1|0|0|300|1|3.5|de\u2028el
5|1|2|1|1|2|0|0|3|1|0|
""".replace("|", "\t")


def test_words_of_the_table_are_taken_as_they_are_and_blank_ones_are_not() -> None:
    assert list(ocr.parse_words(TABLE)) == [
        ocr.Word('"Lon don"', (30, 60, 90, 121), pytest.approx(0.96063751)),
        ocr.Word("de\u2028el", (0, 0, 300, 1), pytest.approx(0.035)),
    ]
    assert list(ocr.parse_words("")) == []


def test_boxes_of_an_enlarged_image_are_divided_exactly() -> None:
    extractor = ocr.Extractor(ocr.Options(enlarge=3))
    words = list(ocr.parse_words(TABLE))
    result = extractor._rows(words, 3, Image.new("RGB", (99, 100)))
    third = np.float32(1) / 3
    # The last word's box reached a pixel over the edge.
    expected = np.array([[10, 20, 30, 40 + third], [0, 0, 99, third]], np.float32)
    np.testing.assert_array_equal(result.boxes, expected)


@needs_tesseract
def test_words_are_those_of_tesseracts_own_table(tmp_path: Path) -> None:
    """Nothing is lost or rounded on the way, compared with a file in a lossless format."""
    image = sign({"Third": (20, 150), "Second": (140, 40), "First": (20, 40)})
    image.save(tmp_path / "sign.png")
    command = ["tesseract", tmp_path / "sign.png", tmp_path / "out", "--psm", "3", "tsv"]
    subprocess.run(command, check=True, capture_output=True)
    expected = list(ocr.parse_words((tmp_path / "out.tsv").read_text(encoding="utf-8")))
    result = load(psm=3).extract([Item("a", image)])[0]
    assert result.text == [word.text for word in expected]
    np.testing.assert_array_equal(result.boxes, [word.xyxy for word in expected])
    assert result.scores.tolist() == pytest.approx([word.confidence for word in expected])


@needs_tesseract
def test_words_are_those_of_pytesseract() -> None:
    pytesseract = pytest.importorskip("pytesseract")
    image = sign({"Third": (20, 150), "Second": (140, 40), "First": (20, 40)})
    found = pytesseract.image_to_data(image, config="--psm 3", output_type="dict")
    result = load(psm=3).extract([Item("a", image)])[0]
    assert result.text == [word for word in found["text"] if word.strip()]
    rows = [i for i, word in enumerate(found["text"]) if word.strip()]
    corners = [[found[key][i] for key in ("left", "top", "width", "height")] for i in rows]
    expected = [[left, top, left + w, top + h] for left, top, w, h in corners]
    np.testing.assert_array_equal(result.boxes, expected)
    # It cuts confidences to whole percents.
    assert [int(100 * score + 1e-4) for score in result.scores] == [found["conf"][i] for i in rows]


@needs_tesseract
def test_images_wait_in_the_queue_of_one_pool() -> None:
    item = Item("a", sign({"London": (60, 110)}))
    assert ocr.Extractor(ocr.Options()).prepare(item) is None, "not loaded yet"
    extractor = load(psm=6)
    queued = replace(item, image=None, prepared=extractor.prepare(item))
    assert extractor.extract([queued])[0].text == ["London"]
    threads = {thread for thread in threading.enumerate() if thread.name.startswith("ocr")}
    extractor.extract([item] * 3)
    after = {thread for thread in threading.enumerate() if thread.name.startswith("ocr")}
    assert threads and threads <= after


def test_as_many_processes_run_as_cores_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert ocr._worker_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert ocr._worker_count() >= 1


@needs_tesseract
def test_the_environment_of_the_process_stays_as_it_was() -> None:
    before = dict(os.environ)
    load(psm=6).extract([Item("a", sign({"London": (60, 110)}))])
    assert dict(os.environ) == before


def fake_tesseract(folder: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program first on PATH that answers questions, and reads 64 px squares as Tesseract."""
    program = folder / "tesseract"
    program.write_text(
        f"""#!{sys.executable}
import os, sys, time
if sys.argv[1] == "--list-langs":
    sys.exit(print('List of available languages (1):\\neng'))
if sys.stdin.buffer.read(9) != b"P6\\n64 64\\n":
    {behaviour}
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("time.sleep(60)", "tesseract: no result within 0.5 s"),
        ("os.kill(os.getpid(), 9)", "tesseract: no message (exit -9)"),
        ("sys.exit(os.environ['OMP_THREAD_LIMIT'])", "tesseract: 1 (exit 1)"),
        ("sys.exit('bad  ' + sys.argv[1])", "tesseract: bad image (exit 1)"),
    ],
)
def test_a_hanging_or_failing_process_makes_the_image_unreadable(
    behaviour: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tesseract(tmp_path, behaviour, monkeypatch)
    extractor = load(timeout_s=0.5)
    started = time.monotonic()
    images = [Image.new("RGB", (9, 9)), Image.new("RGB", (64, 64))]
    bad, good = extractor.extract([Item("a", images[0]), Item("b", images[1])])
    assert (bad.status, bad.reason) == (STATUS["unreadable"], reason)
    assert good.status == STATUS["nothing_found"]
    assert time.monotonic() - started < 20


def test_nothing_is_read_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    fake_tesseract(tmp_path, "time.sleep(0.3)", monkeypatch)
    extractor = load()
    items = [Item(str(index), Image.new("RGB", (9, 9))) for index in range(5)]
    ahead = [extractor.prepare(item) for item in items]

    class Interrupted:
        def result(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extractor.extract([replace(items[0], prepared=Interrupted())])
    assert all(future.cancelled() for future in ahead[1:])


@needs_tesseract
def test_the_version_and_the_checksum_of_the_language_data_are_recordable() -> None:
    versions = ocr.Extractor(ocr.Options()).tool_versions()
    assert re.match(r"\d+\.\d+", versions["tesseract"])
    assert list(versions) == ["tesseract", "eng.traineddata"]
    assert not any(os.sep in value for value in versions.values())


@needs_tesseract
def test_the_language_data_are_those_that_tesseract_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = ocr.installed_languages()
    data = (folder / "eng.traineddata").read_bytes()
    (tmp_path / "mine.traineddata").write_bytes(data)
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    expected = hashlib.sha256(data).hexdigest()
    extractor = load(language="mine", data_sha256={"mine": expected.upper()})
    assert extractor.tool_versions()["mine.traineddata"] == expected
    with pytest.raises(DataError, match=rf"{expected}, but data_sha256 expects 00ff"):
        load(language="mine", data_sha256={"mine": "00ff"})
    with pytest.raises(MissingToolError, match="language data for osd"):
        load(language="mine", psm=12)


@needs_tesseract
def test_data_without_the_engine_are_refused_before_any_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eng.traineddata").write_bytes(b"no model")
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    with pytest.raises(ConfigError, match="Tesseract does not work with language eng, psm 11"):
        load()


@needs_tesseract
def test_a_missing_language_is_named_with_its_package() -> None:
    with pytest.raises(MissingToolError, match=r"qaa; installed: .*tesseract-ocr-qaa"):
        load(language="eng+qaa")


def test_a_missing_program_is_named_with_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        load()
    for command in ("apt-get install tesseract-ocr", "brew install tesseract", "conda install"):
        assert command in str(caught.value)
    assert ocr.Extractor(ocr.Options()).tool_versions() == {"tesseract": "not installed"}


@pytest.mark.parametrize(
    "options",
    [
        {"language": "eng; rm"},
        {"psm": 14},
        {"psm": 0},
        {"oem": 4},
        {"min_confidence": 60.0},
        {"enlarge": 0},
        {"enlarge_below_px": 20_000, "enlarge": 2},
        {"timeout_s": 0.0},
        {"data_sha256": {"deu": "00ff"}},
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
