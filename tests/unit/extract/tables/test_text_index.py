"""Places of texts: as a dictionary would give them, in less memory."""

import random
import tracemalloc

import pytest

from extract.tables import text_index
from extract.tables.images_table import ImageRow, ImageRows
from extract.tables.lazy_table import pack_texts
from extract.tables.text_index import TextIndex, distinct

TEXTS = ["b", "", "a/../b", "\U0001f600", "e\u0301", "\u00e9", "0" * 1000]


def test_each_text_is_found_at_its_place() -> None:
    index = TextIndex(TEXTS)
    assert [index.find(text) for text in TEXTS] == list(range(len(TEXTS)))
    assert index.find("c") is None
    assert TextIndex([]).find("") is None


def test_repeats_are_what_a_dictionary_finds() -> None:
    rng = random.Random(0)
    for n_words in (3, 50, 1000):
        texts = [str(rng.randrange(n_words)) for _ in range(60)]
        first = {text: texts.index(text) for text in texts}
        index = TextIndex(texts)
        assert {text: index.find(text) for text in texts} == first
        again = (place for place, text in enumerate(texts) if first[text] != place)
        assert index.first_repeat() == next(again, None)
        assert list(distinct(iter(texts))) == list(dict.fromkeys(texts))
    assert distinct([]) == []
    assert TextIndex(TEXTS).first_repeat() is None


def test_texts_of_one_digest_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "_digest", len)
    index = TextIndex(["ab", "c", "de", "f", "de"])
    assert [index.find(text) for text in ("ab", "c", "de", "f", "xy")] == [0, 1, 2, 3, None]
    assert index.first_repeat() == 4
    assert distinct(["ab", "c", "de", "f", "de", "ab"]) == ["ab", "c", "de", "f"]


def test_an_index_takes_a_fraction_of_a_dictionary() -> None:
    n = 20_000
    tracemalloc.start()
    texts = pack_texts(f"17_06_{i:07d}.jpg" for i in range(n))
    index = TextIndex(texts)
    packed, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    objects = {f"17_06_{i:07d}.jpg": i for i in range(n)}
    both, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.find("17_06_0000007.jpg") == objects["17_06_0000007.jpg"]
    assert 2.5 * packed < both - packed


def test_rows_by_id() -> None:
    rows = [ImageRow(name, f"{name}.png", "0" * 64, 1, 2, "ok") for name in ("b", "a")]
    found = ImageRows(rows)
    assert dict(found) == {"b": rows[0], "a": rows[1]}
    assert "c" not in found and len(found) == 2
