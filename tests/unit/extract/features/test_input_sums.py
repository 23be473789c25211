"""Everything that an item carries is in the checksum of its inputs, by which rows are copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from extract.extractors import base
from extract.features import engine
from extract.features.engine import Inputs, run_extraction
from extract.features.spec import FeatureSpec
from extract.store import FeatureStore
from extract.tables.images_table import ImageRow
from extract.tables.rows import Box, Item, ItemFeatures, Outputs, Phrase

SPEC = FeatureSpec("reader", "reader", 1, {}, {}, {})
ROW = ImageRow("a", "a.png", "0" * 64, 40, 60, "ok")
CORNERS = (0.0, 1.0, 20.0, 30.0)


@dataclass(frozen=True)
class NoOptions:
    """No option."""


class Reader(base.Extractor):
    """One row of text: all that an item carries."""

    @classmethod
    def outputs(cls, options: NoOptions) -> Outputs:
        return Outputs(text=True)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        return [
            ItemFeatures(text=[repr((item.phrases, item.captions, item.annotations))])
            for item in batch
        ]


def read(folder: Path, inputs: Inputs, reuse: Path | None = None) -> tuple[str, str]:
    """Return the row and the checksum of the image."""
    path = folder / ("first.h5" if reuse is None else "second.h5")
    run_extraction(SPEC, [ROW], path, inputs, reuse=reuse)
    with FeatureStore(path) as store:
        return store.item("a").text[0], store.input_sha256()["a"]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch):
    """Make the extractor of `SPEC` read one kind of input."""

    def use(name: str) -> None:
        class One(Reader):
            needs = frozenset({name})

        module = SimpleNamespace(VERSION=1, Options=NoOptions, Extractor=One)
        monkeypatch.setattr(engine, "load_plugin", lambda _: ("readers", module))

    return use


CHANGES = {
    "text of a phrase": ("phrases", [Phrase("a dog", 0, 2)], [Phrase("a cat", 0, 2)]),
    "start of a phrase": ("phrases", [Phrase("a", 0, 2)], [Phrase("a", 1, 2)]),
    "end of a phrase": ("phrases", [Phrase("a", 0, 2)], [Phrase("a", 0, 3)]),
    "order of phrases": (
        *("phrases", [Phrase("a", 0, 1), Phrase("b", 1, 2)]),
        [Phrase("b", 1, 2), Phrase("a", 0, 1)],
    ),
    "text of a caption": ("captions", ["a dog"], ["a cat"]),
    "order of captions": ("captions", ["a", "b"], ["b", "a"]),
    "name of a box": ("annotations", [Box(CORNERS, 0.5, "Rome")], [Box(CORNERS, 0.5, "Oslo")]),
    "corner of a box": (
        *("annotations", [Box(CORNERS, 0.5, "Rome")]),
        [Box((*CORNERS[:3], 31.0), 0.5, "Rome")],
    ),
    "score of a box": ("annotations", [Box(CORNERS, 0.5, "Rome")], [Box(CORNERS, 0.6, "Rome")]),
    "last digit of a score": (
        *("annotations", [Box(CORNERS, 0.5, "Rome")]),
        [Box(CORNERS, float(np.nextafter(0.5, 1)), "Rome")],
    ),
    "score of a box that had none": (
        *("annotations", [Box(CORNERS, nan, "Rome")]),
        [Box(CORNERS, 0.0, "Rome")],
    ),
    "order of boxes": (
        *("annotations", [Box(CORNERS, 0.5, "Rome"), Box(CORNERS, 0.5, "Oslo")]),
        [Box(CORNERS, 0.5, "Oslo"), Box(CORNERS, 0.5, "Rome")],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_of_other_inputs_is_computed_anew(tmp_path: Path, reads, change: str) -> None:
    name, before, after = CHANGES[change]
    reads(name)
    row, checksum = read(tmp_path, Inputs(**{name: {"a": tuple(before)}}))
    others = Inputs(**{name: {"a": tuple(after)}})
    other_row, other_checksum = read(tmp_path, others, tmp_path / "first.h5")
    assert other_row != row and str(after[0]) in other_row
    assert other_checksum != checksum


@pytest.mark.parametrize("name", ["phrases", "captions", "annotations"])
def test_equal_inputs_have_one_checksum(tmp_path: Path, reads, name: str) -> None:
    value = next(before for kind, before, _ in CHANGES.values() if kind == name)
    reads(name)
    inputs = Inputs(**{name: {"a": tuple(value)}})
    again = Inputs(**{name: {"a": tuple(value), "b": tuple(value)}})
    assert read(tmp_path, inputs) == read(tmp_path, again, tmp_path / "first.h5")
