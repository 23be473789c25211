"""Texts and tables are read as they were written, whatever they hold."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.interop.layouts.base import imgid_text
from extract.tables.images_table import ImageRow, read_images, write_images
from extract.tables.rows import STATUS
from extract.tables.samples import Sample, read_samples, write_samples
from tests.builders.extract.strategies import TEXT, tagged, words

# An id of the corpus is what stands after IMGID:, without white space at its ends.
IMAGE_IDS = words().map(str.strip).filter(bool)
SAMPLES = st.lists(tagged(words(), IMAGE_IDS), min_size=1, max_size=5)


def content(samples: list[Sample]) -> list[tuple]:
    return [(sample.image_id, sample.tokens, sample.tags) for sample in samples]


@given(SAMPLES)
def test_conll_text_is_read_back(samples: list[Sample]) -> None:
    names = {sample.image_id: sample.image_id for sample in samples}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.txt").write_bytes(imgid_text(samples, names).encode())
        found = list(iter_samples(Path(folder), "train", TextSettings()))
    assert content(found) == content(samples)
    assert [sample.id for sample in found] == [f"train-{i:05d}" for i in range(len(samples))]


@given(SAMPLES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(0, 3))
def test_line_ends_byte_order_mark_and_blank_lines_say_nothing(
    samples: list[Sample], line_end: str, has_mark: bool, blank: int
) -> None:
    names = {sample.image_id: sample.image_id for sample in samples}
    text = imgid_text(samples, names).replace("\n\n", "\n" * (2 + blank)).replace("\n", line_end)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.txt").write_bytes(("\ufeff" * has_mark + text).encode())
        found = list(iter_samples(Path(folder), "train", TextSettings()))
    assert content(found) == content(samples)


@given(st.lists(tagged(TEXT, TEXT), max_size=5))
def test_samples_are_read_back(samples: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.jsonl"
        assert write_samples(path, samples) == len(samples)
        assert list(read_samples(path)) == samples


ROWS = st.builds(
    ImageRow,
    image_id=TEXT,
    path=TEXT,
    sha256=st.sampled_from(["", "0" * 64]),
    height=st.integers(0, 2**31 - 1),
    width=st.integers(0, 2**31 - 1),
    status=st.sampled_from(list(STATUS)),
    reason=TEXT,
)


@given(st.lists(ROWS, max_size=6, unique_by=lambda row: row.image_id), st.data())
def test_the_manifest_is_read_back(rows: list[ImageRow], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.tsv"
        assert write_images(path, rows) == len(rows)
        table = read_images(path)
    assert table == rows
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    assert table[start:stop] == rows[start:stop]
    if rows:
        place = data.draw(st.integers(-len(rows), len(rows) - 1))
        assert table[place] == rows[place]
