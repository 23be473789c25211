"""Chunk grammars give what nltk.RegexpParser gives; a parser's chunks are cut to the rules."""

import random

import pytest

from extract.core.errors import ConfigError
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.phrases import chunking
from extract.phrases.chunking import (
    GRAMMAR,
    compile_grammar,
    grammar_spans,
    noun_spans,
    split_spans,
)
from extract.phrases.tweets import Word, tweet_words

TAGS = ("NN", "NNP", "NNS", "JJ", "JJR", "CD", "DT", "PRP$", "IN", "VBZ", "POS", ".", ",", "''")
ONE_RULE = (
    GRAMMAR,
    "NP: {<NN>}",
    "NP:\n  {<DT>?<JJ>*<NN.*>}  # a comment",
    "NP: {<DT|PRP\\$>? <JJ.*>* <NN.*>+}",
    "NP: {<PRP$><NN>}",
    "NP: {(<NN><IN>)?<NNP>+?<NN>}",
    "NP: {<NN>*}",
    "NP: {<.*>*<NNS>}",
    "NP: {<N(N|NP)><.>?|<CD>}",
    "NP: {<NN><IN>|<NN>}",
)
OTHERS = (
    "NP: {<.*>+}\n    }<VB.*|IN>+{",
    "NP: {<NN.*>}\n    {<JJ>}",
    "NP: <DT>{<NN>}",
    "NP: {<NN>{2,3}}",
    "NP: {<[^V].*>+}",
    "NP: {<JJ>*<NN>}\nPP: {<IN><NP>}",
)


def spans_of_regexp_parser(grammar: str, tags: list[str]) -> list[tuple[int, int]]:
    from nltk import RegexpParser

    spans, position = [], 0
    for part in RegexpParser(grammar).parse([("word", tag) for tag in tags]):
        size = 1 if isinstance(part, tuple) else len(part.leaves())
        if not isinstance(part, tuple):
            spans.append((position, position + size))
        position += size
    return spans


@pytest.mark.parametrize("grammar", [*ONE_RULE, *OTHERS])
def test_a_grammar_gives_what_regexp_parser_gives(grammar):
    rng = random.Random(grammar)
    find = compile_grammar(grammar)
    n_found = 0
    for _ in range(400):
        tags = rng.choices(TAGS, k=rng.randint(1, 20))
        found = find(tags)
        assert found == spans_of_regexp_parser(grammar, tags), tags
        n_found += len(found)
    # "<PRP$>" is an end of line in the middle of a pattern, in nltk too.
    assert (n_found > 0) == ("<PRP$>" not in grammar)


def test_only_single_rules_are_run_as_one_expression():
    assert all(chunking._one_rule_chunker(grammar) for grammar in ONE_RULE)
    assert not any(chunking._one_rule_chunker(grammar) for grammar in OTHERS)


def test_the_grammar_on_tags_of_real_tweets(shared_data):
    from textblob.en import parser

    find = compile_grammar(GRAMMAR)
    samples = list(iter_samples(shared_data / "twitter2017", "valid", TextSettings()))
    n_found = 0
    for sample in samples:
        tags = [tag for _, tag in parser.find_tags(sample.tokens)]
        assert find(tags) == spans_of_regexp_parser(GRAMMAR, tags), sample.id
        n_found += len(find(tags))
    assert n_found > len(samples)


def test_textblob_has_the_tags_of_its_parser(shared_data):
    from textblob.en import parser

    from extract.commands.phrases import load_backend

    backend = load_backend("textblob")
    backend.load(None)
    samples = iter_samples(shared_data / "twitter2015", "train", TextSettings())
    tweets = [sample.tokens for sample in samples]
    for tokens, analysis in zip(tweets, backend.analyse(tweets), strict=True):
        assert analysis.tags == [tag for _, tag in parser.find_tags(tokens)]


@pytest.mark.parametrize("grammar", ["NP: {<NN", "NP: {<NN>(}", "{<NN>}"])
def test_a_grammar_that_is_none_is_refused(grammar):
    with pytest.raises(ConfigError, match="grammar"):
        compile_grammar(grammar)


def test_a_grammar_may_not_cut_through_a_tag():
    find = compile_grammar("NP: {N}")
    with pytest.raises(ConfigError, match="through a tag"):
        find(["NN"])


def words_in_groups(groups: list[int]) -> list[Word]:
    return [Word(f"w{i}", i, i + 1, group) for i, group in enumerate(groups)]


def test_chunks_stay_in_their_group():
    words = words_in_groups([0, 0, -1, 1, 1, 2])
    tags = ["JJ", "NN", "NN", "NN", "NN", "NN"]
    assert grammar_spans(words, tags, compile_grammar(GRAMMAR)) == [(0, 2), (3, 5), (5, 6)]
    assert noun_spans(words, tags) == [(1, 2), (3, 4), (4, 5), (5, 6)]
    assert grammar_spans([], [], compile_grammar(GRAMMAR)) == []


def test_chunks_of_a_parser_are_cut_to_the_rules():
    words = tweet_words(["the", "red", "ball", ",", "she", "#", "NBA"])
    tags = ["DT", "JJ", "NN", ",", "PRP", "NNP"]
    assert [word.start for word in words] == [0, 1, 2, 3, 4, 6]
    # One chunk over everything: cut at the comma and at the hashtag, determiner and pronoun gone.
    assert split_spans(words, tags, [(0, 6)]) == [(1, 3), (5, 6)]
