"""Tweets with ready-made context: marks, line ends, pairs of folders, and stores of samples."""

import pytest

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.interop.artefacts.context_conll import (
    ContextSentence,
    find_split_file,
    read_context_conll,
    written_token,
)
from extract.interop.stores import import_artefact
from extract.store import FeatureStore, verify_store
from extract.tables.samples import Sample

TEXT = "Ann B-PER\nin O\nRiga B-LOC\n\nhello O\n\n"
MM = "Ann B-PER\nin O\nRiga B-LOC\n<EOS> B-X\na B-X\ndog B-X\n<EOS> B-X\nEXIT B-X\n\nhello O\n\n"
SENTENCES = [
    ContextSentence(["Ann", "in", "Riga"], ["B-PER", "O", "B-LOC"], [["a", "dog"], ["EXIT"]]),
    ContextSentence(["hello"], ["O"], []),
]


def write(path, text):
    path.write_bytes(text.encode())
    return path


def four_columns(text):
    """Repeat the tag, as corpora with four columns do."""
    lines = [line.split(" ") for line in text.split("\n")]
    return "\n".join(" ".join([*line, line[-1], line[-1]]) if line[1:] else "" for line in lines)


@pytest.mark.parametrize("columns", [lambda text: text, four_columns])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("gap", [" ", "\t", "  ", " \t"])
@pytest.mark.parametrize("mark", ["B-X", "S-X", "X"])
def test_marks_line_ends_and_gaps_are_read_the_same(tmp_path, mark, gap, end, columns):
    text = columns(MM.replace("B-X", mark)).replace(" ", gap).replace("\n", end)
    assert read_context_conll(write(tmp_path / "x.txt", text)) == SENTENCES


@pytest.mark.parametrize("tail", ["", "\n\n\n", "  \n", "\t"])
def test_the_end_of_the_file_ends_the_last_sentence(tmp_path, tail):
    path = write(tmp_path / "x.txt", "\ufeff\n\n" + MM.strip("\n") + tail)
    assert read_context_conll(path) == SENTENCES


def test_segments_without_words_are_none(tmp_path):
    text = "a O\n<EOS> X\n<EOS> X\nb X\n<EOS> X\n\nc O\n<EOS> X\n\nd O\ne X\nf X\n"
    found = read_context_conll(write(tmp_path / "x.txt", text))
    assert [sentence.context for sentence in found] == [[["b"]], [], [["e", "f"]]]


def test_an_unmarked_separator_is_a_word_of_the_tweet(tmp_path):
    (sentence,) = read_context_conll(write(tmp_path / "x.txt", "<EOS> O\na O\n<EOS> X\nb X\n"))
    assert sentence.tokens == ["<EOS>", "a"] and sentence.context == [["b"]]


def test_words_may_hold_other_white_space(tmp_path):
    (sentence,) = read_context_conll(write(tmp_path / "x.txt", "\u00a0\tO\na\u2028b\tO\n"))
    assert sentence.tokens == ["\u00a0", "a\u2028b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a O\n<EOS> B-X\nb B-X\nc O\n",
            r"x\.txt:4: word 'c' of the tweet stands after the context word in line 2",
        ),
        ("a O\n\n<EOS> X\nb X\n\n", r"x\.txt:3: a sentence has context words only"),
        ("a O\nb\n", r"x\.txt:2: expected a word and its tag, got 'b'"),
        ("a O\nIMGID:7\n", r"x\.txt:2: expected a word"),
        ("a NN\n", r"x\.txt:1: 'NN' is neither a tag nor a mark"),
        ("a I-\n", r"x\.txt:1: 'I-' is neither"),
        ("\n \n", "holds no sentence"),
        ("a O\nb\0 O\n", r"x\.txt:2: holds a NUL"),
        ("a O\n" + "b" * 200_000 + " O\n", r"x\.txt:2: longer than 100000 bytes"),
    ],
)
def test_broken_files_name_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_context_conll(write(tmp_path / "x.txt", text))


def test_other_files(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"a O\nb\xff O\n")
    with pytest.raises(DataError, match=r"x\.txt:2: not UTF-8"):
        read_context_conll(tmp_path / "x.txt")
    with pytest.raises(MissingFileError):
        read_context_conll(tmp_path / "gone.txt")


def test_split_files_are_found_by_a_part_of_their_name(tmp_path):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        write(tmp_path / name, TEXT)
    found = [find_split_file(tmp_path, split).name for split in ("train", "valid", "test")]
    assert found == ["eng.train", "eng.testa", "eng.testb"]
    write(tmp_path / "other_train.txt", TEXT)
    with pytest.raises(DataError, match=r"several files with 'train'.*: eng.train, other_train"):
        find_split_file(tmp_path, "train")


def test_valid_txt_is_not_found(tmp_path):
    write(tmp_path / "valid.txt", TEXT)
    with pytest.raises(MissingFileError, match="no file with 'dev' or 'testa' in its name"):
        find_split_file(tmp_path, "valid")


# As stores.

SAMPLES = [
    Sample("train-00000", "1", ["Ann", "in", "Riga"], ["B-PER", "O", "B-LOC"]),
    Sample("train-00001", "2", ["hello"], ["O"]),
]


def test_context_becomes_text_rows_of_samples(tmp_path):
    path = write(tmp_path / "x.txt", MM)
    counts = import_artefact("context_conll", [path], tmp_path / "x.h5", samples=[SAMPLES])
    assert counts["segments"] == 2 and counts["status"]["nothing_found"] == 1
    verify_store(tmp_path / "x.h5")
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.id_kind == "sample" and store.ids == ["train-00000", "train-00001"]
        assert store.item("train-00000").text == ("a dog", "EXIT")
        assert store.item("train-00001").reason == "no context in the file"


def test_a_folder_is_read_split_by_split(tmp_path):
    for name in ("train.txt", "dev.txt", "test.txt"):
        write(tmp_path / name, MM)
    splits = [
        [Sample(f"{split}-{i}", "1", sample.tokens) for i, sample in enumerate(SAMPLES)]
        for split in ("train", "valid", "test")
    ]
    import_artefact("context_conll", [tmp_path], tmp_path / "x.h5", samples=splits)
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.ids == [sample.id for split in splits for sample in split]
        assert store.item("test-0").text == ("a dog", "EXIT")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([SAMPLES[::-1]], r"x\.txt:1: the words are not those of sample 'train-00001'"),
        ([SAMPLES[:1]], "2 sentences, but 1 samples"),
        ([[*SAMPLES, SAMPLES[0]]], "2 sentences, but 3 samples"),
    ],
)
def test_sentences_of_other_samples_are_refused(tmp_path, samples, message):
    path = write(tmp_path / "x.txt", MM)
    with pytest.raises(DataError, match=message):
        import_artefact("context_conll", [path], tmp_path / "x.h5", samples=samples)
    with pytest.raises(ConfigError, match="1 files but 2 samples files"):
        import_artefact("context_conll", [path], tmp_path / "x.h5", samples=[SAMPLES, SAMPLES])


def test_tokens_that_an_export_changed_are_the_samples(tmp_path):
    tokens = ["<EOS>", "\u00a0", "a<EOS>b"]
    assert list(map(written_token, tokens)) == ["&lt;EOS&gt;", "_", "a&lt;EOS&gt;b"]
    lines = [f"{written_token(token)} O\n" for token in tokens]
    path = write(tmp_path / "x.txt", "".join(lines) + "<EOS> X\nb X\n")
    import_artefact(
        "context_conll", [path], tmp_path / "x.h5", samples=[[Sample("s", "1", tokens)]]
    )
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.item("s").text == ("b",)
        assert store.item("s").scores is None
