"""Word normal forms, vocabularies, vector files and ids."""

import gzip
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from extract.core.cli import main
from extract.core.errors import DataError, MissingFileError
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.tables.tags import entity_spans
from tests.builders.hub import glove
from train.data.word_vectors import (
    PAD,
    UNK,
    build_word_vocabulary,
    hashed_vector,
    normalize_word,
    rank_symbols,
    read_word_vectors,
)
from train.measures.metrics import micro_counts
from train.systems.acn.word_index import WordIndex, index_of

# With the number test of ACN's PyTorch re-implementation.
PREFIX = {
    "1D": "<number>",
    "2nite": "<number>",
    "8:30pm": "<number>",
    "-5": "<number>",
    ".5": "<number>",
    "...": "...",
    "#NBA": "nba",
    "#2015": "2015",
    "##x": "#x",
    "#": "#",
    "#MLB,": "mlb,",
    "@JayKenMinaj": "jaykenminaj",
    "@": "@",
    "@a.b": "a.b",
    "http://t.co/Z3neVBQ7vF": "<url>",
    "www.bbc.co.uk/x": "<url>",
    "HTTP://X.CO": "http://x.co",
    "RT": "rt",
    "x@y": "x@y",
}
FULL = {
    "1D": "1d",
    "2nite": "2nite",
    "8:30pm": "8:30pm",
    "8:30": "<number>",
    "-5": "<number>",
    "1,000.50": "<number>",
    "2014-15": "2014-15",
    "...": "...",
    "+": "+",
}


@pytest.mark.parametrize(("token", "expected"), PREFIX.items())
def test_normal_form_with_numbers_by_prefix(token, expected):
    assert normalize_word(token, number_test="prefix") == expected


@pytest.mark.parametrize(("token", "expected"), FULL.items())
def test_normal_form_full(token, expected):
    assert normalize_word(token) == expected


SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def twitter2015(shared_data):
    folder = shared_data / "twitter2015"
    return {split: list(iter_samples(folder, split, TextSettings())) for split in SPLITS}


def test_counts_of_twitter_2015(twitter2015):
    """Samples, tokens, longest sample, samples over 35, longest token, tokens over 30.

    Valid has one token more than ACN's re-implementation counts: the no-break space is kept.
    """
    facts = {}
    for split, samples in twitter2015.items():
        sizes = [len(sample.tokens) for sample in samples]
        spellings = [len(token) for sample in samples for token in sample.tokens]
        facts[split] = (
            *(len(samples), sum(sizes), max(sizes), sum(size > 35 for size in sizes)),
            *(max(spellings), sum(size > 30 for size in spellings)),
        )
    assert facts == {
        "train": (4000, 64439, 37, 3, 41, 3),
        "valid": (1000, 16178, 41, 1, 32, 1),
        "test": (3257, 52822, 36, 1, 38, 2),
    }
    ids = {sample.image_id for samples in twitter2015.values() for sample in samples}
    assert len(ids) == 8257


def test_held_out_sentences_that_training_has(twitter2015):
    """Word for word; and no entity is lost by cutting at 35 tokens."""
    known = {tuple(sample.tokens) for sample in twitter2015["train"]}
    facts = {
        split: sum(tuple(sample.tokens) in known for sample in twitter2015[split])
        for split in ("valid", "test")
    }
    assert facts == {"valid": 2, "test": 4}
    ends = [
        end
        for samples in twitter2015.values()
        for sample in samples
        for _, _, end in entity_spans(sample.tags)
    ]
    assert max(ends) <= 35


def test_gold_entities_of_twitter_2015(twitter2015):
    """Lenient, by type, and strict: this is UMT's copy, not the one of ACN's authors."""
    facts = {}
    for split, samples in twitter2015.items():
        spans = [span for sample in samples for span in entity_spans(sample.tags)]
        strict = [span for sample in samples for span in entity_spans(sample.tags, strict=True)]
        types = Counter(entity_type for entity_type, _, _ in spans)
        facts[split] = (
            len(spans),
            [types[name] for name in ("PER", "LOC", "ORG", "MISC")],
            len(strict),
        )
    assert facts == {
        "train": (6352, [2285, 2135, 957, 975], 6166),
        "valid": (1594, [567, 543, 251, 233], 1541),
        "test": (5207, [1873, 1720, 860, 754], 5072),
    }
    gold = [sample.tags for sample in twitter2015["test"]]
    counts = micro_counts(gold, gold)
    assert (counts.precision, counts.recall, counts.f1) == (100, 100, 100)


def test_vocabulary_of_all_splits(twitter2015):
    """23 204 words and 102 characters, plus the no-break space that the re-implementation's
    reader loses."""
    sentences = [sample.tokens for split in SPLITS for sample in twitter2015[split]]
    found = build_word_vocabulary(sentences, number_test="prefix", char_text="normalized")
    assert set("\xa0") < set(found["words"]) and "\xa0" in found["chars"]
    assert len(found["words"]) - 1 == 23204
    assert len(found["chars"]) - 1 == 102
    first_words = "[pad] [unk] <url> : . rt the <number> in , to ! of a for and"
    first_chars = "[pad] [unk] e r a t o n i l s u h d m c < >"
    assert found["words"][:16] == first_words.split()
    assert found["chars"][:18] == first_chars.split()


def test_vocabulary_of_train(twitter2015):
    """14 134 words and 86 characters; 9 558 singletons; the unknown words of the test split."""
    sentences = [sample.tokens for sample in twitter2015["train"]]
    found = build_word_vocabulary(sentences, number_test="prefix", char_text="normalized")
    assert len(found["words"]) - 2 == 14134
    assert len(found["chars"]) - 2 == 86
    assert len(found["singletons"]) == 9558
    known = set(found["words"])
    tokens = [token for sample in twitter2015["test"] for token in sample.tokens]
    test = [normalize_word(token, number_test="prefix") for token in tokens]
    assert len(set(test)) == 12396
    assert len(set(test) - known) == 7147
    assert sum(word not in known for word in test) == 8115


def test_tokens_that_are_numbers_by_prefix_alone(twitter2015):
    """578 tokens are numbers only by their start."""
    tokens = [t for split in SPLITS for sample in twitter2015[split] for t in sample.tokens]
    differ = [
        t
        for t in tokens
        if normalize_word(t, number_test="prefix") == "<number>" != normalize_word(t)
    ]
    assert len(differ) == 578


def test_image_ids_are_strings(shared_data):
    """`17_06_12483` would parse as the number 170612483, `O_144` as none."""
    folder = shared_data / "twitter2017"
    samples = [s for split in SPLITS for s in iter_samples(folder, split, TextSettings())]
    assert {"17_06_12483", "O_144"} < {sample.image_id for sample in samples}


def test_rank_symbols_by_frequency_then_first_seen():
    assert rank_symbols(["b", "a", "c", "a", "b"]) == [PAD, UNK, "b", "a", "c"]


def test_vocabulary_takes_words_of_the_vector_file():
    found = build_word_vocabulary([["The", "the", "Cat"], ["mat"]], ["zoo", "cat", "ant"])
    assert found["words"] == [PAD, UNK, "the", "cat", "mat", "ant", "zoo"]
    # `cat` occurs once, but has a vector; `ant` does not occur.
    assert found["singletons"] == [4]
    assert "C" in found["chars"] and "z" not in found["chars"]


def test_vocabulary_of_normalized_characters():
    found = build_word_vocabulary([["#Cat", "7"]], char_text="normalized")
    assert set(found["chars"][2:]) == set("cat<number>")


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_word_vectors_are_read(tmp_path):
    path = write(tmp_path / "v", "3 2", "the 1 2", "\xa0\t3.5  -4", "the 9 9", "a 0 1e-1 ")
    read = list(read_word_vectors(path, 2))
    assert [word for word, _ in read] == ["the", "\xa0", "a"]
    np.testing.assert_allclose([vector for _, vector in read], [[1, 2], [3.5, -4], [0, 0.1]])
    assert read[0][1].dtype == np.float32
    assert [word for word, _ in read_word_vectors(path, 2, limit=2)] == ["the", "\xa0"]


@pytest.mark.parametrize("line", ["cat 1", "cat 1 2 3", "cat 1 x", "cat 1 nan", "fat cat 1 x"])
def test_word_vectors_name_the_bad_line(tmp_path, line):
    path = write(tmp_path / "v", "the 1 2", line)
    with pytest.raises(DataError, match=r"v:2: expected a word and 2 numbers"):
        list(read_word_vectors(path, 2))


@pytest.mark.parametrize("size", ["tiny", "published"])
@pytest.mark.parametrize("form", glove.FORMS)
def test_every_published_form_is_read(tmp_path, form, size):
    expected = glove.write_vectors(tmp_path / "vectors.txt", form, size, words=["the", "x y", "é"])
    dim = len(expected["the"])
    found = dict(read_word_vectors(tmp_path / "vectors.txt", dim))
    assert list(found) == list(expected)
    for word, vector in expected.items():
        np.testing.assert_allclose(found[word], vector, rtol=1e-6)


@pytest.mark.parametrize("form", glove.FORMS)
def test_vectors_of_another_width_are_refused(tmp_path, form):
    """Not read as words that end in numbers, nor as vectors that end in those of the next."""
    path = tmp_path / "vectors.txt"
    glove.write_vectors(path, form)
    for dim in (2, 3, 5, 8):
        with pytest.raises(
            DataError,
            match=rf"vectors\.txt.*(expected a word and {dim} numbers|, expected {dim}\.)",
        ):
            list(read_word_vectors(path, dim))


def other_bytes(path: Path, kind: str) -> None:
    """Write a file that is no text of word vectors."""
    lines = "".join(f"w{i} {i}.5 {i}.25\n" for i in range(200))
    if kind.startswith("torch"):
        torch.save({"the": torch.zeros(2)}, path, _use_new_zipfile_serialization=kind == "torch")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("glove.200d.txt", lines)
    elif kind == "latin-1":
        path.write_bytes((lines + "caf\xe9 1 2\n").encode("latin-1"))
    elif kind == "binary":
        path.write_bytes(b"2 2\nthe " + np.array([1.5, -3.75], np.float32).tobytes() + b"\n")
    elif kind == "cut gzip":
        path.write_bytes(gzip.compress(lines.encode())[:-20])
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch", "expected text.*torch file"),
        ("torch legacy", "expected text.*torch file"),
        ("zip", "expected text.*Unpack an archive"),
        ("latin-1", r":201: not UTF-8 \(byte 0xe9\).*iconv"),
        ("binary", r":2: not UTF-8.*binary word2vec"),
        ("cut gzip", "damaged or incomplete, [\\d,]+ bytes found"),
        ("empty", r"no word vector in it \(0 bytes\)"),
    ],
)
def test_what_is_no_text_of_vectors_is_called_so(tmp_path, kind, message):
    other_bytes(tmp_path / "v", kind)
    with pytest.raises(DataError, match=rf"^{tmp_path / 'v'}.*{message}"):
        list(read_word_vectors(tmp_path / "v", 2))


@pytest.mark.parametrize("kind", ["absent", "torch", "zip", "binary", "empty", "wide"])
def test_the_run_spec_looks_at_the_vectors(tmp_path, capsys, kind):
    """The first job of a run, hours before the training that reads them."""
    path = tmp_path / "vectors"
    if kind == "wide":
        glove.write_vectors(path)
    elif kind != "absent":
        other_bytes(path, kind)
    definition = {
        "run": "r",
        "system": "acn",
        "options": {"word_vectors": str(path), "word_dim": 2},
        "features": {"grid": "g"},
    }
    command = ["spec", "--definition", json.dumps(definition), "--out", str(tmp_path / "r.json")]
    assert main("train", command) == 2
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()
    glove.write_vectors(path)
    definition["options"]["word_dim"] = 4
    command[2] = json.dumps(definition)
    assert main("train", command) == 0


def test_word_vectors_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match="no such file of word vectors"):
        list(read_word_vectors(tmp_path / "none", 2))


def test_hashed_vector_belongs_to_the_spelling():
    vector = hashed_vector("zimmerman", 200)
    assert vector.shape == (200,) and vector.dtype == np.float32
    assert np.abs(vector).max() <= 0.25 and 0.10 < vector.std() < 0.19  # 0.5 / sqrt(12) = 0.144
    np.testing.assert_array_equal(vector, hashed_vector("zimmerman", 200))
    assert not np.allclose(vector, hashed_vector("zimmermann", 200))


def small_index(**changes) -> WordIndex:
    settings = {"number_test": "full", "char_text": "raw"} | changes
    return WordIndex([PAD, UNK, "the", "cat"], [PAD, UNK, "T", "h", "e"], **settings)


def test_index_encodes_and_pads():
    batch = small_index().encode([["The", "#Cat", "dog"], ["the"]], width=4, n_chars=3)
    assert batch.word_ids.tolist() == [[2, 3, 1, 0], [2, 0, 0, 0]]
    assert batch.char_ids[0].tolist() == [[2, 3, 4], [1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert batch.char_lengths.tolist() == [[3, 3, 3, 0], [3, 0, 0, 0]]


def test_index_spells_the_normal_form_when_asked():
    assert small_index(char_text="normalized").char_ids("#The") == [1, 3, 4]
    assert small_index().char_ids("#The") == [1, 2, 3, 4]


def test_index_hashes_unknown_words_only():
    vectors = small_index().hashed_vectors([["the", "Dog"], ["DOG"]], width=3, dim=5)
    assert vectors.shape == (2, 3, 5)
    has_vector = ~torch.isnan(vectors).all(dim=2)
    assert has_vector.tolist() == [[False, True, False], [True, False, False]]
    torch.testing.assert_close(vectors[0, 1], vectors[1, 0])


def test_index_refuses_a_word_twice():
    with pytest.raises(DataError, match="'a' occurs twice"):
        index_of(["b", "a", "a"])
