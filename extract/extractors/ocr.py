"""Words in the image, by Tesseract: text, boxes and confidences in reading order.

Source: Smith 2007, An Overview of the Tesseract OCR Engine.
"""

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extract.errors import MissingToolError
from extract.extractors import base
from extract.images import resize_exact
from extract.manifest import STATUS

VERSION = 1

_INSTALL_TESSERACT = (
    "Install it: `apt-get install tesseract-ocr` (Debian, Ubuntu), `brew install tesseract` "
    "(macOS) or `conda install -c conda-forge tesseract`."
)
_INSTALL_PYTESSERACT = (
    "Install it: `pip install 'mner-pipeline[ocr]'` or `pip install pytesseract`."
)


@dataclass(frozen=True)
class Options:
    """What decides the values, together with the installed Tesseract and its language data."""

    language: str = "eng"
    """Tesseract language codes joined by `+`, e.g. `eng+deu`."""
    psm: int = 11
    """Page segmentation mode: 11 (sparse text) for photos, 3 or 6 for drawings and screenshots."""
    oem: int = 3
    """Engine: 0 legacy, 1 LSTM, 2 both, 3 what is available."""
    min_confidence: float = 0.0
    """Words below it are left out; 0-1."""
    enlarge: int = 1
    """Whole factor by which small images are enlarged first; helps with letters under 20 px."""
    enlarge_below_px: int = 512
    """Only images whose longer side is shorter than this are enlarged."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w/+]*", self.language, re.ASCII):
            raise ValueError(f"language must be codes joined by '+', got {self.language!r}")
        if not (0 <= self.psm <= 13 and 0 <= self.oem <= 3):
            raise ValueError(f"psm must be 0-13 and oem 0-3, got {self.psm} and {self.oem}")
        if self.psm in (0, 2):
            raise ValueError(f"psm {self.psm} finds no words; use 11, 3 or 6")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be 0-1, got {self.min_confidence}")
        if not 1 <= self.enlarge <= 8:
            raise ValueError(f"enlarge must be 1-8, got {self.enlarge}")


class Extractor(base.Extractor):
    """One Tesseract process an image; as many at a time as there are cores."""

    @classmethod
    def outputs(cls, options: Options) -> base.Outputs:
        """Words with their boxes and confidences."""
        return base.Outputs(text=True, boxes=True, scores=True)

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Find Tesseract and its language data.

        Raises:
            MissingToolError: the program, the Python package or a language is not installed.
        """
        pytesseract = _import_pytesseract()
        try:
            installed = set(pytesseract.get_languages())
        except pytesseract.TesseractNotFoundError as error:
            raise MissingToolError(
                f"ocr: the program `tesseract` is not on PATH. {_INSTALL_TESSERACT}"
            ) from error
        absent = [code for code in self.options.language.split("+") if code not in installed]
        if absent:
            packages = " ".join("tesseract-ocr-" + code.replace("_", "-") for code in absent)
            raise MissingToolError(
                f"ocr: no Tesseract language data for {', '.join(absent)}; installed: "
                f"{', '.join(sorted(installed)) or 'none'}. Install it: `apt-get install "
                f"{packages}`, or put <code>.traineddata into TESSDATA_PREFIX."
            )
        # One thread a process and one process a core is several times faster than the reverse.
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")

    def tool_versions(self) -> dict[str, str]:
        """Return the version of Tesseract, for provenance."""
        pytesseract = _import_pytesseract()
        try:
            return {"tesseract": str(pytesseract.get_tesseract_version())}
        except pytesseract.TesseractNotFoundError:
            return {"tesseract": "not installed"}

    def extract(self, batch: Sequence[base.Item]) -> list[base.ItemFeatures]:
        """Return the words of each image in reading order."""
        with ThreadPoolExecutor(max_workers=_worker_count()) as pool:
            return list(pool.map(self._extract_one, batch))

    def _extract_one(self, item: base.Item) -> base.ItemFeatures:
        import pytesseract

        factor = self._factor(item.image)
        size = (item.image.width * factor, item.image.height * factor)
        image = item.image if factor == 1 else resize_exact(item.image, size)
        options = self.options
        try:
            data = pytesseract.image_to_data(
                image,
                lang=options.language,
                config=f"--psm {options.psm} --oem {options.oem}",
                output_type=pytesseract.Output.DICT,
            )
        except pytesseract.TesseractError as error:
            # Tesseract refuses some images (a side over 32,767 px); the others go on.
            result = base.nothing_found(
                f"tesseract: {' '.join(str(error.message).split()):.100}", self.outputs(options)
            )
            return replace(result, status=STATUS["unreadable"])
        return self._rows(data, factor, item.image)

    def _factor(self, image: Image.Image) -> int:
        is_small = max(image.size) < self.options.enlarge_below_px
        return self.options.enlarge if is_small else 1

    def _rows(
        self, data: Mapping[str, list[Any]], factor: int, image: Image.Image
    ) -> base.ItemFeatures:
        """Turn Tesseract's table into rows; it is already in reading order."""
        words, boxes, scores = [], [], []
        for index, text in enumerate(data["text"]):
            score = float(data["conf"][index]) / 100
            # Lines, paragraphs and blocks have confidence -1.
            if not text.strip() or score < self.options.min_confidence:
                continue
            left, top = data["left"][index], data["top"][index]
            right, bottom = left + data["width"][index], top + data["height"][index]
            words.append(text.strip())
            boxes.append([value / factor for value in (left, top, right, bottom)])
            scores.append(score)
        if not words:
            return base.nothing_found("no text found in the image", self.outputs(self.options))
        limits = np.array([image.width, image.height] * 2, np.float32)
        return base.ItemFeatures(
            text=words,
            boxes=np.minimum(np.array(boxes, np.float32), limits),
            scores=np.array(scores, np.float32),
        )


def _import_pytesseract() -> Any:
    try:
        import pytesseract
    except ImportError as error:
        raise MissingToolError(
            f"ocr: the Python package `pytesseract` is not installed. {_INSTALL_PYTESSERACT}"
        ) from error
    return pytesseract


def _worker_count() -> int:
    """Return OMP_NUM_THREADS where the scheduler set it, else the number of cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else os.cpu_count() or 1
