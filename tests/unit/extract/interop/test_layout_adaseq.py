"""AdaSeq's folders (MoRe, PGIM), read as its reader is documented to read them."""

from contextlib import ExitStack

import pytest

from extract.core.options import options_from
from extract.interop.artefacts.context_conll import read_context_conll
from extract.interop.layouts.adaseq import Options, export
from extract.interop.layouts.ita import Options as ItaOptions
from extract.interop.layouts.ita import export as export_ita
from tests.builders.extract.tiny_views import SAMPLES, make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    with ExitStack() as stack:
        yield make_corpus(tmp_path_factory.mktemp("corpus"), stack)


def read_as_adaseq(path):
    """Two columns with a tab between them, a blank line after each sentence, context marked X.

    Returns words, tags and the mask of each sentence, of which the first two go to the encoder
    whole and the mask says which words are tagged.
    """
    sentences, words, tags = [], [], []
    for line in path.read_bytes().decode("utf-8").split("\n"):
        line = line.rstrip("\r")
        if not line:
            if words:
                sentences.append((words, tags, [tag != "X" for tag in tags]))
            words, tags = [], []
            continue
        word, tag = line.split("\t")
        assert word and not set(word) & set(" \t\u00a0")
        words.append(word)
        tags.append(tag)
    assert not words, "the last sentence is not ended"
    return sentences


def exported(corpus, out, **options):
    export(corpus, out, options_from(Options, options, "options"))
    return out / "twitter2015", out / "twitter2015_doc_captions_objects_ocr"


def test_both_folders_hold_the_same_sentences_in_the_same_order(corpus, tmp_path):
    text, mm = exported(corpus, tmp_path)
    for split, name in (("train", "train.txt"), ("valid", "dev.txt"), ("test", "test.txt")):
        plain, full = read_as_adaseq(text / name), read_as_adaseq(mm / name)
        assert len(plain) == len(full) == len(SAMPLES[split])
        for (words, tags, mask), (more, marked, which) in zip(plain, full, strict=True):
            n = len(words)
            assert all(mask) and which == [True] * n + [False] * (len(more) - n)
            assert more[:n] == words and marked[:n] == tags
            if more[n:]:
                assert more[n] == "<EOS>" and more[-1] != "<EOS>"


def test_words_tags_and_context(corpus, tmp_path):
    _, mm = exported(corpus, tmp_path)
    words, tags, _ = read_as_adaseq(mm / "train.txt")[0]
    assert tags[:4] == ["B-PER", "I-PER", "O", "B-LOC"]
    assert " ".join(words[4:]) == (
        "<EOS> a woman , smiling <EOS> two people <EOS> old smiling woman hat <EOS> EXIT"
    )
    # Tags are as in the corpus: orphans are not repaired.
    assert read_as_adaseq(mm / "train.txt")[2][1] == ["B-LOC", "B-LOC", "I-PER"]


def test_literal_separators_do_not_separate(corpus, tmp_path):
    text, mm = exported(corpus, tmp_path)
    assert read_as_adaseq(text / "test.txt")[0][0] == ["&lt;EOS&gt;", "_", "a&lt;EOS&gt;b", "X"]
    words = read_as_adaseq(mm / "test.txt")[0][0]
    assert sum("<EOS>" in word for word in words) == 2


def test_it_is_itas_corpus_with_another_mark(corpus, tmp_path):
    _, mm = exported(corpus, tmp_path / "a", num_captions=1)
    export_ita(corpus, tmp_path / "b", ItaOptions(num_captions=1))
    for name in ("train.txt", "dev.txt", "test.txt"):
        other = tmp_path / "b" / mm.name / name
        assert read_context_conll(mm / name) == read_context_conll(other)
