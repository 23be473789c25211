"""Tags and entities: conlleval's own rules and brute force as oracles."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from extract.corpora.statistics import count_orphans
from extract.tables.tags import Span, bio_to_bioes, bioes_to_bio, entity_spans, tag_set
from tests.builders.extract.strategies import TAGS, TYPES


def conlleval_spans(tags: list[str]) -> list[Span]:
    """Entities by conlleval's rules: where a chunk ends after, and where one starts at, a token."""
    parts = [("O", ""), *(tuple(f"{tag}-".split("-")[:2]) for tag in tags), ("O", "")]
    pairs = list(pairwise(parts))
    starts = [
        i
        for i, ((before, last), (prefix, kind)) in enumerate(pairs)
        if prefix == "B" or (prefix == "I" and (before == "O" or last != kind))
    ]
    ends = [
        i
        for i, ((before, last), (prefix, kind)) in enumerate(pairs)
        if before in "BI" and (prefix in "BO" or last != kind)
    ]
    return [(parts[i + 1][1], i, end) for i, end in zip(starts, ends, strict=True)]


def strict_spans(tags: list[str]) -> list[Span]:
    """Every (type, start, end) that is exactly one B and then I of one type, as long as can be."""
    found = []
    for start in range(len(tags)):
        for end in range(start + 1, len(tags) + 1):
            kind = tags[start][2:]
            inside = all(tag == f"I-{kind}" for tag in tags[start + 1 : end])
            goes_on = end < len(tags) and tags[end] == f"I-{kind}"
            if tags[start].startswith("B-") and inside and not goes_on:
                found.append((kind, start, end))
    return found


@given(TAGS)
def test_entities_are_those_of_conlleval(tags: list[str]) -> None:
    assert entity_spans(tags) == conlleval_spans(tags)


@given(TAGS)
def test_strict_entities_are_those_of_brute_force(tags: list[str]) -> None:
    assert entity_spans(tags, strict=True) == strict_spans(tags)


@given(TAGS)
def test_readings_agree_exactly_where_no_tag_is_an_orphan(tags: list[str]) -> None:
    if count_orphans(tags) == 0:
        assert entity_spans(tags) == entity_spans(tags, strict=True)
    else:
        assert len(entity_spans(tags)) > len(entity_spans(tags, strict=True))


@given(TAGS)
def test_bioes_holds_the_same_entities(tags: list[str]) -> None:
    bioes = bio_to_bioes(tags)
    assert set(bioes) <= set(tag_set(TYPES, "bioes"))
    back = bioes_to_bio(bioes)
    assert entity_spans(back) == entity_spans(tags)
    assert count_orphans(back) == 0
    if count_orphans(tags) == 0:
        assert back == tags


@given(st.lists(st.sampled_from(tag_set(TYPES, "bioes")), max_size=9))
def test_any_bioes_becomes_valid_bio_of_as_many_tokens(bioes: list[str]) -> None:
    tags = bioes_to_bio(bioes)
    assert [tag == "O" for tag in tags] == [tag == "O" for tag in bioes]
    assert [tag[2:] for tag in tags] == [tag[2:] for tag in bioes]
    assert count_orphans(tags) == 0
    # S and E close an entity, B and S open one, whatever stands beside them.
    starts, ends = ({span[place] for span in entity_spans(tags)} for place in (1, 2))
    assert starts >= {i for i, tag in enumerate(bioes) if tag[0] in "BS"}
    assert ends >= {i + 1 for i, tag in enumerate(bioes) if tag[0] in "SE"}
