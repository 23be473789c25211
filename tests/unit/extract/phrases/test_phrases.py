"""Noun phrases: tweet rules, each backend on real or self-trained models, and the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from extract.commands.phrases import load_backend
from extract.core.errors import ConfigError, MissingFileError
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.features.inputs import phrases_by_image
from extract.phrases.base import Analysis, TaggingBackend
from extract.phrases.chunking import ChunkOptions
from extract.tables.samples import Sample, write_samples

# Words of the tests' own language: one tag each.
TAGS = {"a": "DT", "the": "DT", "red": "JJ", "two": "CD", "10": "CD", "sees": "VBZ", ",": ","}


class LexiconBackend(TaggingBackend):
    """Tags by the table above, every other word a noun."""

    def analyse(self, tweets):
        for words in tweets:
            yield Analysis([TAGS.get(word.lower(), "NN") for word in words])


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
        ("dog sees a red ball", [("dog", 0, 1), ("red ball", 3, 5)]),
        ("two red balls , ball", [("two red balls", 0, 3), ("ball", 4, 5)]),
        ("ball cat , Ball CAT", [("ball cat", 0, 2)]),
        ("#Riga cat #riga", [("Riga cat", 0, 2), ("riga", 2, 3)]),
        # Nothing to look for: numbers, one letter, what only says when.
        ("2010 , u , 10/6 , # 1 , 3rd , _x", []),
        ("2 June , Saturday , May 3rd , 10 October", []),
        ("June festival , Saturday market", [("June festival", 0, 2), ("Saturday market", 3, 5)]),
        ("", []),
        (" ", []),
        ("@ # … ? ! ' \" 🏾", []),
    ],
)
def test_phrases_of_a_tweet(tweet, expected):
    assert spans(tweet) == expected


def test_handles_can_be_left_out():
    assert spans("@KingJames ball @ nba", handles=False) == [("ball", 1, 2)]


def test_no_tweet_at_all():
    assert LexiconBackend(ChunkOptions()).phrases_of_many([], []) == []


def test_one_query_a_noun():
    tweet = "the red ball park sees two #NBA finals , J . Doe & a Ball 💞 @ KingJames in June"
    assert spans(tweet, query="nouns") == [
        ("ball", 2, 3),
        ("park", 3, 4),
        ("NBA", 6, 7),
        ("finals", 7, 8),
        ("Doe", 11, 12),
        ("KingJames", 17, 18),
        ("in", 18, 19),
    ]
    assert ("NBA finals", 6, 8) in spans(tweet, query="phrases")
    # The grammar is not asked.
    assert spans("red ball park", query="nouns", grammar="NP: {<ZZ>}") == [
        ("ball", 1, 2),
        ("park", 2, 3),
    ]


@pytest.mark.parametrize("name", ["nltk", "spacy", "textblob"])
def test_each_tagging_backend_has_the_query_modes(name):
    assert load_backend(name).options.query == "phrases"
    assert load_backend(name, '{"query": "nouns"}').options.query == "nouns"
    with pytest.raises(ConfigError, match="Did you mean 'nouns'"):
        load_backend(name, '{"query": "noun"}')


def test_options_are_checked():
    assert spans("a red ball", grammar="NP: {<NN>}") == [("ball", 2, 3)]
    with pytest.raises(ConfigError, match="grammar"):
        load_backend("textblob", '{"grammar": "NP: {<NN"}').load(None)
    with pytest.raises(ConfigError, match="Did you mean 'grammar'"):
        load_backend("textblob", '{"gramar": "x"}')
    with pytest.raises(ConfigError, match="not JSON"):
        load_backend("textblob", "{")


def test_type_words_are_the_same_for_each_tweet():
    backend = load_backend("type_words")
    backend.load(None)
    found = backend.phrases_of_many([["Riga", "!"], []], ["s1", "s2"])
    assert [[(p.text, p.start, p.end, p.sample_id) for p in row] for row in found] == [
        [(word, 0, 0, sample) for word in ("person", "location", "organization", "miscellaneous")]
        for sample in ("s1", "s2")
    ]
    backend = load_backend("type_words", '{"words": ["dog", "red ball"]}')
    assert [phrase.text for phrase in backend.phrases(["x"])] == ["dog", "red ball"]


@pytest.mark.parametrize("words", ["[]", '["dog", " "]', '["dog", "Dog"]'])
def test_type_words_must_be_distinct_and_not_empty(words):
    with pytest.raises(ConfigError, match="words"):
        load_backend("type_words", f'{{"words": {words}}}')


def test_type_words_load_no_tagger():
    code = (
        "import sys\n"
        "from extract.commands.phrases import load_backend\n"
        "backend = load_backend('type_words')\n"
        "backend.load(None)\n"
        "backend.phrases(['Riga'])\n"
        "print([name for name in ('nltk', 'spacy', 'textblob') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_empty_spans_are_read_back(tmp_path):
    from extract.__main__ import main

    files = write_two_files(tmp_path)
    out = tmp_path / "phrases.jsonl"
    options = ["--backend", "type_words", "--options", '{"words": ["dog"]}']
    assert main(["phrases", "--samples", *files, "--out", str(out), *options]) in (None, 0)
    found = phrases_by_image(out, [tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert {i: [(p.text, p.start, p.end, p.sample_id) for p in ps] for i, ps in found.items()} == {
        "i": [("dog", 0, 0, "1"), ("dog", 0, 0, "2")],
        "j": [("dog", 0, 0, "3")],
    }


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


@pytest.mark.parametrize("query", ["phrases", "nouns"])
def test_offsets_point_at_the_tokens(textblob, shared_data, query):
    backend = load_backend("textblob", json.dumps({"query": query}))
    backend.load(None)
    found = 0
    for sample in iter_samples(shared_data / "tweets30", "train", TextSettings()):
        for phrase in backend.phrases(sample.tokens, sample.id):
            found += 1
            assert 0 <= phrase.start < phrase.end <= len(sample.tokens)
            assert phrase.sample_id == sample.id
            source = "".join(sample.tokens[phrase.start : phrase.end])
            assert letters(phrase.text) == letters(source)
    assert found > 30


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


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
    (analysis,) = backend.analyse([["can't", ":", "dog"]])
    assert len(analysis.tags) == 3
    if not parser:
        assert ("Riga", 6, 7) in [(p.text, p.start, p.end) for p in backend.phrases(tokens)]
    assert backend.phrases(["http://x", "🏀"]) == []
    nouns = load_backend("spacy", '{"query": "nouns"}')
    nouns.load(tmp_path / "pipeline")
    assert [[p.text for p in phrases] for phrases in nouns.phrases_of_many(sentences, "abc")] == [
        ["dog", "ball"],
        ["cat", "fish"],
        ["Chicago"],
    ]


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
