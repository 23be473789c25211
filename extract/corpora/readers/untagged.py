"""New text to tag: one file in the format of `conll_imgid.py`, of which only tokens are read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from extract.corpora.readers import conll_imgid
from extract.corpora.readers.base import TextSettings
from extract.tables.samples import Sample

CITATION = ""
LICENCE = ""
EXPECTED: dict[str, dict[str, int]] = {}
SPLIT_FILES = {"predict": ("predict.txt",)}


def iter_samples(root: Path, split: str, settings: TextSettings) -> Iterator[Sample]:
    """Yield the samples of the one split, without tags.

    Raises:
        DataError: a line breaks the format, or there is no sample; the message names file and line.
    """
    return conll_imgid.iter_samples(root, split, replace(settings, labels=False))
