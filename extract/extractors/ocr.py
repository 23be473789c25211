"""Words in the image, by Tesseract: text, boxes and confidences in reading order.

Reading order is Tesseract's own: block, paragraph, line, word. The program is called directly, one
process an image: several images in one process would share the words that Tesseract learns.

Source: Smith 2007, An Overview of the Tesseract OCR Engine.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from PIL import Image

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, DataError, MissingToolError, MnerError
from extract.extractors import base
from extract.images.decode import resize_exact
from extract.tables.rows import STATUS, Item, ItemFeatures, Outputs, nothing_found

VERSION = 2

_INSTALL_TESSERACT = (
    "Install it: `apt-get install tesseract-ocr` (Debian, Ubuntu), `brew install tesseract` "
    "(macOS) or `conda install -c conda-forge tesseract`."
)
# Modes of page segmentation that also find the orientation, by a model of their own.
_ORIENTING_PSMS = (1, 12)
# Tesseract refuses larger images.
_MAX_SIDE_PX = 32_767
# On Linux standard input opens like any other file, and reads 9 % faster than as a stream.
_STDIN = "/dev/stdin" if sys.platform == "linux" else "stdin"
# Level of a word in Tesseract's table; above it are lines, paragraphs, blocks and the page.
_WORD_LEVEL = "5"


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
    """Whole factor by which small images are enlarged first; helps with letters under 20 px. In
    photos 2 finds a third more words, in twice the time."""
    enlarge_below_px: int = 1200
    """Only images whose longer side is shorter than this are enlarged."""
    timeout_s: float = 300.0
    """Seconds after which Tesseract is stopped and the image counts as unreadable."""
    data_sha256: dict[str, str] = field(default_factory=dict)
    """Language code -> sha256 of its `.traineddata`; other data are refused. Codes that are left
    out are not checked, only recorded."""

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
        largest = _MAX_SIDE_PX // self.enlarge
        if not 1 <= self.enlarge_below_px <= largest:
            raise ValueError(
                f"enlarge_below_px must be from 1 to {largest}, which Tesseract still reads when "
                f"enlarged {self.enlarge} times, got {self.enlarge_below_px}"
            )
        if self.timeout_s <= 0:
            raise ValueError(f"timeout_s must be positive, got {self.timeout_s}")
        unused = sorted(set(self.data_sha256) - set(self.codes))
        if unused:
            raise ValueError(f"data_sha256 names {', '.join(unused)}, not in {self.language!r}")

    @property
    def codes(self) -> list[str]:
        """The data files that Tesseract loads, by name without suffix."""
        orientation = ["osd"] if self.psm in _ORIENTING_PSMS else []
        return [*self.language.split("+"), *orientation]


@dataclass(frozen=True)
class Word:
    """One word as Tesseract reports it."""

    text: str
    xyxy: tuple[int, int, int, int]
    """Pixels of the image that it was given, x2/y2 exclusive."""
    confidence: float
    """0-1"""


class TesseractError(MnerError):
    """Tesseract did not read an image; the message is the reason."""


class Extractor(base.Extractor):
    """One Tesseract process an image; as many at a time as there are cores."""

    gives = "ocr"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Words with their boxes and confidences."""
        return Outputs(text=True, boxes=True, scores=True)

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Find Tesseract and its language data, and start the pool.

        Raises:
            MissingToolError: the program or a language is not installed.
            DataError: a language's data have another sha256 than `data_sha256` states.
            ConfigError: Tesseract refuses the options with these data.
        """
        installed, folder = installed_languages()
        _refuse_missing_languages(self.options.codes, installed)
        self._check_data(folder)
        try:
            self._words(Image.new("RGB", (64, 64), "white"))
        except TesseractError as error:
            raise ConfigError(
                f"ocr: Tesseract does not work with language {self.options.language}, psm "
                f"{self.options.psm} and oem {self.options.oem}: {error}."
            ) from error
        self._pool = ThreadPoolExecutor(_worker_count(), thread_name_prefix="ocr")

    def tool_versions(self) -> dict[str, str]:
        """Return the version of Tesseract and the sha256 of each language's data."""
        try:
            stated = re.search(r"\d[\w.-]*", _output("--version"))
            _, folder = installed_languages()
        except MissingToolError:
            return {"tesseract": "not installed"}
        data = {
            f"{code}.traineddata": _data_sha256(code, folder) or "not found"
            for code in self.options.codes
        }
        return {"tesseract": stated.group() if stated else "unknown", **data}

    def prepare(self, item: Item) -> "Future[base.ItemFeatures] | None":
        """Queue an image; None, which keeps it, before `load`."""
        return None if self._pool is None else self._pool.submit(self._read, item.image)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the words of each image in reading order."""
        queued = [self.prepared(item) for item in batch]
        try:
            return [future.result() for future in queued]
        except BaseException:
            # The process would else read all that is queued before it ends.
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise

    def _read(self, image: Image.Image) -> ItemFeatures:
        """Return the rows of one image."""
        factor = self._factor(image)
        size = (image.width * factor, image.height * factor)
        try:
            words = self._words(image if factor == 1 else resize_exact(image, size))
        except TesseractError as error:
            # Some images it refuses, the too large; the others go on.
            result = nothing_found(f"tesseract: {error}", self.outputs(self.options))
            return replace(result, status=STATUS["unreadable"])
        return self._rows(words, factor, image)

    def _factor(self, image: Image.Image) -> int:
        is_small = max(image.size) < self.options.enlarge_below_px
        return self.options.enlarge if is_small else 1

    def _words(self, image: Image.Image) -> list[Word]:
        """Run Tesseract on an image.

        Raises:
            TesseractError: it fails or takes too long.
            MissingToolError: the program is not installed.
        """
        options = self.options
        arguments = ["-l", options.language, "--psm", str(options.psm), "--oem", str(options.oem)]
        # Uncompressed, for making it a PNG would take 30 % of all the time; and without a name, so
        # that a killed run leaves nothing behind.
        with TemporaryFile() as file:
            image.save(file, "PPM")
            file.seek(0)
            try:
                done = _run(
                    _STDIN, "stdout", *arguments, "-c", "tessedit_create_tsv=1",
                    stdin=file, timeout_s=options.timeout_s,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise TesseractError(f"no result within {options.timeout_s:g} s") from error
        if done.returncode:
            complaint = " ".join(done.stderr.replace(_STDIN, "image").split())
            raise TesseractError(f"{complaint[:200] or 'no message'} (exit {done.returncode})")
        return list(parse_words(done.stdout))

    def _rows(self, words: Sequence[Word], factor: int, image: Image.Image) -> ItemFeatures:
        """Turn words into rows, with boxes in pixels of the image before it was enlarged."""
        kept = [word for word in words if word.confidence >= self.options.min_confidence]
        if not kept:
            return nothing_found("no text found in the image", self.outputs(self.options))
        boxes = np.array([word.xyxy for word in kept], np.float32) / factor
        limits = np.array([image.width, image.height] * 2, np.float32)
        return ItemFeatures(
            text=[word.text for word in kept],
            boxes=np.clip(boxes, 0, limits),
            scores=np.array([word.confidence for word in kept], np.float32),
        )

    def _check_data(self, folder: Path | None) -> None:
        """Compare language data with the checksums that the options state."""
        for code, stated in self.options.data_sha256.items():
            found = _data_sha256(code, folder)
            if found != stated.lower():
                raise DataError(
                    f"ocr: sha256 of {code}.traineddata is {found or 'unknown (file not found)'}, "
                    f"but data_sha256 expects {stated}. Install that file into TESSDATA_PREFIX or "
                    "correct data_sha256."
                )


def parse_words(table: str) -> Iterator[Word]:
    """Yield the words of Tesseract's TSV output in its order, without blank ones.

    Args:
        table: lines of level, page, block, paragraph, line, word, left, top, width, height,
            confidence (0-100) and text; the first line is the header.
    """
    for line in table.split("\n"):
        cells = line.split("\t", 11)
        if cells[0] != _WORD_LEVEL or len(cells) < 12 or not cells[11].strip():
            continue
        left, top, width, height = map(int, cells[6:10])
        confidence = min(max(float(cells[10]) / 100, 0.0), 1.0)
        yield Word(cells[11].strip(), (left, top, left + width, top + height), confidence)


def installed_languages() -> tuple[set[str], Path | None]:
    """Return the codes of the installed languages, and their folder where Tesseract names it.

    Raises:
        MissingToolError: Tesseract is not installed.
    """
    header, *codes = _output("--list-langs").splitlines() or [""]
    # Tesseract 5 quotes the folder in the first line; 4 does not name it.
    quoted = re.search(r'"(.+)"', header)
    named = quoted.group(1) if quoted else os.environ.get("TESSDATA_PREFIX")
    return {code.strip() for code in codes}, Path(named) if named else None


def _refuse_missing_languages(codes: Sequence[str], installed: set[str]) -> None:
    absent = [code for code in codes if code not in installed]
    if absent:
        packages = " ".join("tesseract-ocr-" + code.replace("_", "-") for code in absent)
        raise MissingToolError(
            f"ocr: no Tesseract language data for {', '.join(absent)}; installed: "
            f"{', '.join(sorted(installed)) or 'none'}. Install it: `apt-get install "
            f"{packages}`, or put <code>.traineddata into TESSDATA_PREFIX."
        )


def _data_sha256(code: str, folder: Path | None) -> str:
    """Return the checksum of a language's data, or an empty string where they are not found."""
    file = folder / f"{code}.traineddata" if folder else None
    return file_sha256(file) if file and file.is_file() else ""


def _output(flag: str) -> str:
    """Return what Tesseract says of itself; old versions say it on the other stream."""
    done = _run(flag)
    return done.stdout or done.stderr


def _run(
    *arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL, timeout_s: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run Tesseract in one thread: one process a core is several times faster than the reverse."""
    program = shutil.which("tesseract")
    if program is None:
        raise MissingToolError(f"ocr: the program `tesseract` is not on PATH. {_INSTALL_TESSERACT}")
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        stdin=stdin,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        env={"OMP_THREAD_LIMIT": "1", **os.environ},
    )


def _worker_count() -> int:
    """Return OMP_NUM_THREADS where the scheduler set it, else the number of cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else os.cpu_count() or 1
