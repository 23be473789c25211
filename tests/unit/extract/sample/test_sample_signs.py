"""Tesseract reads what is written, and finds little where nothing is."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from extract.sample.plan import draw, plan_corpus

pytesseract = pytest.importorskip("pytesseract")
pytestmark = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="the program tesseract is not installed"
)
MIN_CONFIDENCE = 60  # of 100, as default.yaml sets for the sample


def read_words(plan) -> list[str]:
    found = pytesseract.image_to_data(
        draw(plan), config="--psm 6", output_type=pytesseract.Output.DICT
    )
    pairs = zip(found["text"], found["conf"], strict=True)
    kept = " ".join(text for text, score in pairs if float(score) >= MIN_CONFIDENCE)
    return re.findall(r"[a-z0-9]+", kept.lower())


def read_all(plans) -> list[list[str]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read_words, plans))


def shares(count: int) -> tuple[float, float]:
    """Share of signs read whole, and of text-free images in which a word is found."""
    corpus = plan_corpus(29)
    signs = [plan for plan in corpus if plan.evidence == "ocr"][:count]
    free = [plan for plan in corpus if plan.evidence != "ocr"][:count]
    wanted = [set(" ".join(plan.picture.lines).lower().split()) for plan in signs]
    whole = [want <= set(got) for want, got in zip(wanted, read_all(signs), strict=True)]
    spurious = [any(len(word) > 1 for word in got) for got in read_all(free)]
    return sum(whole) / count, sum(spurious) / count


def test_tesseract_reads_the_signs(monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    read, spurious = shares(20)
    assert read >= 0.9
    assert spurious <= 0.15


@pytest.mark.slow
def test_tesseract_reads_nearly_all_signs(monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    read, spurious = shares(200)
    assert read >= 0.95
    assert spurious <= 0.08
