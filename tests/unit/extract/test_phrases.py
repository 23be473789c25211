"""Noun phrases: tweet rules, each backend on real or self-trained models, and the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from extract.chunking import ChunkOptions, check_grammar, split_spans, tweet_words
from extract.commands.phrases import load_backend
from extract.datasets.base import TextSettings
from extract.datasets.conll_imgid import iter_samples
from extract.errors import ConfigError, MissingFileError
from extract.manifest import Sample, write_samples
from extract.phrases.base import Analysis, PhraseExtractor

# Words of the tests' own language: one tag each.
TAGS = {"a": "DT", "the": "DT", "red": "JJ", "two": "CD", "sees": "VBZ", "she": "PRP", ",": ","}


class LexiconBackend(PhraseExtractor):
    """Tags by the table above, every other word a noun."""

    def analyse(self, tweets):
        return [Analysis([TAGS.get(word.lower(), "NN") for word in words]) for words in tweets]


def spans(text: str, **options) -> list[tuple[str, int, int]]:
    backend = LexiconBackend(ChunkOptions(**options))
    return [(p.text, p.start, p.end) for p in backend.phrases(text.split(" "))]


@pytest.fixture(scope="module")
def textblob():
    backend = load_backend("textblob")
    backend.load(None)
    return backend


@pytest.mark.parametrize(
    ("tweet", "expected"),
    [
        ("she sees a red ball", [("red ball", 3, 5)]),
        ("two red balls , ball", [("two red balls", 0, 3), ("ball", 4, 5)]),
        ("ball http://t.co/x ball2", [("ball", 0, 1), ("ball2", 2, 3)]),
        ("ball 💞 ⚾ ️ cat", [("ball", 0, 1), ("cat", 4, 5)]),
        ("RT @some_user : ball", [("ball", 3, 4)]),
        ("RT @ some_user : ball", [("ball", 4, 5)]),
        ("cat &amp; ball & gt ; fish", [("cat", 0, 1), ("ball", 2, 3), ("fish", 6, 7)]),
        ("ball #NBA finals", [("ball", 0, 1), ("NBA finals", 1, 3)]),
        ("ball # NBA finals", [("ball", 0, 1), ("NBA finals", 2, 4)]),
        ("@KingJames ball", [("KingJames", 0, 1), ("ball", 1, 2)]),
        ("@ KingJames ball", [("KingJames", 1, 2), ("ball", 2, 3)]),
        ("#red", [("red", 0, 1)]),
        ("@ #", []),
        ("@ # … ? ! ' \" 🏾", []),
        ("ball cat , Ball CAT", [("ball cat", 0, 2)]),
        ('"ball… (cat) 2010 u', [("ball cat 2010 u", 0, 4)]),
        ("2010 , u", []),
        ("We ' re , cat ' s", [("We", 0, 1), ("cat", 4, 5)]),
        ("", []),
        (" ", []),
    ],
)
def test_tweet_rules(tweet, expected):
    assert spans(tweet) == expected


def test_handles_can_be_left_out():
    assert spans("@KingJames ball @ nba", handles=False) == [("ball", 1, 2)]


def test_no_tweet_at_all():
    assert LexiconBackend(ChunkOptions()).phrases_of_many([], []) == []


def test_chunks_of_a_parser_are_cut_to_the_rules():
    words = tweet_words(["the", "red", "ball", ",", "she", "#", "NBA"])
    tags = ["DT", "JJ", "NN", ",", "PRP", "NNP"]
    assert [word.token for word in words] == [0, 1, 2, 3, 4, 6]
    # One chunk over everything: cut at the comma and at the hashtag, determiner and pronoun gone.
    assert split_spans(words, tags, [(0, 6)]) == [(1, 3), (5, 6)]


def test_grammar_is_an_option_and_is_checked():
    assert spans("a red ball", grammar="NP: {<NN>}") == [("ball", 2, 3)]
    with pytest.raises(ConfigError, match="grammar"):
        check_grammar("NP: {<NN")
    with pytest.raises(ConfigError, match="Did you mean 'grammar'"):
        load_backend("textblob", '{"gramar": "x"}')
    with pytest.raises(ConfigError, match="not JSON"):
        load_backend("textblob", "{")


def test_textblob_needs_no_download(textblob):
    text = "NASA issues an ominous warning for a vulnerable ice shelf in Antarctica :"
    tokens = text.split()
    found = [(p.text, p.start, p.end) for p in textblob.phrases(tokens, "s1")]
    assert ("ominous warning", 3, 5) in found
    assert ("vulnerable ice shelf", 7, 10) in found
    assert ("Antarctica", 11, 12) in found


def test_textblob_takes_no_weights(tmp_path):
    with pytest.raises(ConfigError, match="no weights"):
        load_backend("textblob").load(tmp_path)


def test_offsets_point_at_the_tokens(textblob, shared_data):
    for sample in iter_samples(shared_data / "tweets30", "train", TextSettings()):
        for phrase in textblob.phrases(sample.tokens, sample.id):
            assert 0 <= phrase.start < phrase.end <= len(sample.tokens)
            assert phrase.sample_id == sample.id
            bare = [token.strip('#@".…') for token in sample.tokens[phrase.start : phrase.end]]
            assert phrase.text == " ".join(bare)


@pytest.mark.parametrize("name", ["nltk", "textblob"])
def test_real_tweets_have_phrases(name, shared_data, monkeypatch):
    monkeypatch.setattr("nltk.data.path", [str(shared_data / "nltk_data")])
    backend = load_backend(name)
    backend.load(None)
    samples = [
        sample
        for split in ("train", "valid", "test")
        for sample in iter_samples(shared_data / "tweets30", split, TextSettings())
    ]
    assert len(samples) == 30
    found = backend.phrases_of_many([s.tokens for s in samples], [s.id for s in samples])
    assert sum(bool(phrases) for phrases in found) >= 28
    by_image = dict(zip((s.image_id for s in samples), found, strict=True))
    assert "Sarah Park" in [phrase.text for phrase in by_image["tw17_test_3"]]
    # A batch of one gives what a batch of many gives.
    assert [backend.phrases(s.tokens, s.id) for s in samples[:5]] == found[:5]


def test_nltk_without_its_tagger_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"NLTK_DATA.*nltk\.downloader.*perceptron") as info:
        load_backend("nltk").load(None)
    assert str(tmp_path) in str(info.value)


TRAINING = [
    ("The old dog sees a red ball .", "DT JJ NN VBZ DT JJ NN .",
     "det amod nsubj ROOT det amod dobj punct", [2, 2, 3, 3, 6, 6, 3, 3]),
    ("A big cat likes the small fish .", "DT JJ NN VBZ DT JJ NN .",
     "det amod nsubj ROOT det amod dobj punct", [2, 2, 3, 3, 6, 6, 3, 3]),
    ("She loves Chicago .", "PRP VBZ NNP .", "nsubj ROOT dobj punct", [1, 1, 1, 1]),
]  # fmt: skip


def train_spacy(folder: Path, *, parser: bool, coarse_tags: bool) -> Path:
    """Train a pipeline on three sentences until it knows them, and save it."""
    import spacy
    from spacy.tokens import Doc
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger")
    if parser:
        nlp.add_pipe("parser", config={"min_action_freq": 1})
    examples = []
    for text, tags, deps, heads in TRAINING:
        words = text.split()
        gold = Doc(nlp.vocab, words=words, tags=tags.split(), deps=deps.split(), heads=heads)
        examples.append(Example(Doc(nlp.vocab, words=words), gold))
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples, sgd=optimizer, drop=0.0)
    if coarse_tags:
        rules = {"NN": "NOUN", "NNP": "PROPN", "PRP": "PRON", "DT": "DET", "JJ": "ADJ"}
        ruler = nlp.add_pipe("attribute_ruler")
        for tag, coarse in {**rules, "VBZ": "VERB", ".": "PUNCT"}.items():
            ruler.add([[{"TAG": tag}]], {"POS": coarse})
    nlp.to_disk(folder)
    return folder


@pytest.mark.parametrize(
    ("parser", "coarse_tags", "grammar"),
    [
        (False, False, "NP: {<JJ>*<NN.*>+}"),
        (True, False, "NP: {<JJ>*<NN.*>+}"),
        # The grammar finds nothing, so what is found comes from the parser.
        (True, True, "NP: {<ZZ>}"),
    ],
)
def test_spacy_uses_the_corpus_tokens(tmp_path, parser, coarse_tags, grammar):
    pytest.importorskip("spacy")
    backend = load_backend("spacy", json.dumps({"grammar": grammar}))
    backend.load(train_spacy(tmp_path / "pipeline", parser=parser, coarse_tags=coarse_tags))
    sentences = [text.split() for text, *_ in TRAINING]
    found = backend.phrases_of_many(sentences, ["a", "b", "c"])
    # Determiners are left out, whether the parser or the grammar made the chunk.
    assert [[(p.text, p.start, p.end) for p in phrases] for phrases in found] == [
        [("old dog", 1, 3), ("red ball", 5, 7)],
        [("big cat", 1, 3), ("small fish", 5, 7)],
        [("Chicago", 2, 3)],
    ]
    # spaCy's own tokeniser would split the contraction; token offsets must not move.
    tokens = ["can't", ":", "the", "old", "dog", "sees", "#Riga"]
    tags = backend.analyse([["can't", ":", "dog"]])[0].tags
    assert len(tags) == 3
    if not parser:
        assert ("Riga", 6, 7) in [(p.text, p.start, p.end) for p in backend.phrases(tokens)]
    assert backend.phrases(["http://x", "🏀"]) == []


def test_spacy_needs_a_pipeline_folder(tmp_path):
    pytest.importorskip("spacy")
    with pytest.raises(ConfigError, match="--weights"):
        load_backend("spacy").load(None)
    with pytest.raises(MissingFileError, match=r"config\.cfg"):
        load_backend("spacy").load(tmp_path)


def write_two_files(folder: Path) -> list[str]:
    first = [Sample("1", "i", ["A", "red", "ball"]), Sample("2", "i", ["!"])]
    write_samples(folder / "a.jsonl", first)
    write_samples(folder / "b.jsonl", [Sample("3", "j", ["#NBA"])])
    return [str(folder / "a.jsonl"), str(folder / "b.jsonl")]


def test_command_writes_every_sample_in_order(tmp_path):
    out = tmp_path / "phrases.jsonl"
    command = [sys.executable, "-m", "extract", "phrases", "--out", str(out), "--samples"]
    done = subprocess.run(
        [*command, *write_two_files(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"id": "1", "phrases": [{"text": "red ball", "start": 1, "end": 3}]},
        {"id": "2", "phrases": []},
        {"id": "3", "phrases": [{"text": "NBA", "start": 0, "end": 1}]},
    ]
    first, last = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    assert "3 samples" in first
    counts = json.loads(last[last.index("{") :])
    assert (counts["samples"], counts["phrases"], counts["no_phrase"]) == (3, 2, 1)


def test_command_refuses_a_sample_id_twice(tmp_path, capsys):
    from extract.__main__ import main

    files = write_two_files(tmp_path)
    out = tmp_path / "phrases.jsonl"
    assert main(["phrases", "--samples", files[0], files[0], "--out", str(out)]) == 2
    assert "'1' occurs twice" in capsys.readouterr().err
    assert not out.exists()
