"""Rows of word pieces: alignment, cutting, padding, words without pieces."""

import pytest
import torch

from extract.core.errors import ConfigError
from train.blocks.text_encoder import TextEncoder
from train.data.pieces import PieceTable

SENTENCES = [
    ["the", "surfboarding", "dog"],
    ["\ufe0f", "cat"],
    ["Kevin", "Durant", "http://t.co/x"],
]


@pytest.fixture
def table(tiny_encoder):
    return PieceTable(tiny_encoder("bert"))


@pytest.mark.parametrize("family", ["bert", "roberta", "xlmr"])
def test_same_pieces_as_the_text_encoder(tiny_encoder, family):
    table = PieceTable(tiny_encoder(family))
    encoder = TextEncoder(tiny_encoder(family), pretrained=False)
    words = ["Kevin", "</s>", "[SEP]", "\ufe0f", "don't", "Zürich"]
    assert table.pieces(words) == encoder.pieces(words)
    batch, expected = table.encode(SENTENCES, max_pieces=64), encoder.tokenize(SENTENCES)
    assert torch.equal(batch.input_ids, expected["input_ids"])
    assert torch.equal(batch.attention_mask.long(), expected["attention_mask"])


def test_hand_made_rows(table):
    table._pieces = {"one": (10,), "three": (11, 12, 13), "none": (), "two": (14, 15)}
    begin, end, pad = (table.specials[name] for name in ("begin", "end", "padding"))
    sentences = [["one", "three", "none", "two"], ["two", "one"]]
    batch = table.encode(sentences, max_pieces=20)
    assert batch.input_ids.tolist() == [
        [begin, 10, 11, 12, 13, 14, 15, end],
        [begin, 14, 15, 10, end, pad, pad, pad],
    ]
    assert batch.attention_mask.sum(1).tolist() == [8, 5]
    assert batch.attention_mask.dtype == torch.bool
    assert batch.word_of_piece.tolist() == [
        [-1, 0, 1, 1, 1, 3, 3, -1],
        [-1, 0, 0, 1, -1, -1, -1, -1],
    ]
    assert batch.first_piece.tolist() == [[1, 2, -1, 5], [1, 3, -1, -1]]


@pytest.mark.parametrize(
    ("max_pieces", "pieces", "first"),
    [
        (9, [10, 11, 12, 13, 14, 15], [1, 2, 5]),
        (8, [10, 11, 12, 13, 14, 15], [1, 2, 5]),
        (7, [10, 11, 12, 13, 14], [1, 2, 5]),  # in the middle of the last word
        (6, [10, 11, 12, 13], [1, 2, -1]),
        (3, [10], [1, -1, -1]),
    ],
)
def test_cut(table, max_pieces, pieces, first):
    table._pieces = {"one": (10,), "three": (11, 12, 13), "two": (14, 15)}
    batch = table.encode([["one", "three", "two"]], max_pieces=max_pieces, pad_to=12)
    assert batch.input_ids.shape == (1, 12)
    length = len(pieces) + 2
    assert batch.input_ids[0, 1 : length - 1].tolist() == pieces
    assert batch.input_ids[0, length - 1] == table.specials["end"]
    assert batch.attention_mask[0].tolist() == [True] * length + [False] * (12 - length)
    assert batch.first_piece.tolist() == [first]


@pytest.mark.parametrize("rule", ["unk", "drop"])
def test_words_without_pieces(minilm, rule):
    table = PieceTable(minilm, empty_word=rule)
    batch = table.encode([["nice", "\ufe0f", "London"], ["\ufe0f"]], max_pieces=40, pad_to=40)
    if rule == "unk":
        assert batch.first_piece.tolist() == [[1, 2, 3], [1, -1, -1]]
        assert batch.input_ids[0, 2] == table.specials["unknown"]
    else:
        assert batch.first_piece.tolist() == [[1, -1, 2], [-1, -1, -1]]
        assert batch.attention_mask.sum(1).tolist() == [4, 2]


def test_what_pieces_inherit_from_their_words(table):
    table._pieces = {"one": (10,), "two": (14, 15)}
    batch = table.encode([["two", "one"], ["one"]], max_pieces=9)
    tags = torch.tensor([[7, 8], [9, 0]])
    assert batch.of_pieces(tags, elsewhere=-100).tolist() == [
        [-100, 7, 7, 8, -100],
        [-100, 9, -100, -100, -100],
    ]
    vectors = torch.randn(2, 2, 3)
    spread = batch.of_pieces(vectors, elsewhere=0.0)
    assert torch.equal(spread[0, 2], vectors[0, 0]) and (spread[1, 2:] == 0).all()


def test_settings_are_checked(tiny_encoder, table):
    with pytest.raises(ConfigError, match="empty_word"):
        PieceTable(tiny_encoder("bert"), empty_word="zero")
    for settings in ({"max_pieces": 2}, {"max_pieces": 9, "pad_to": 8}):
        with pytest.raises(ValueError, match="max_pieces"):
            table.encode(SENTENCES, **settings)


def test_assets_rebuild_the_table(tiny_encoder, table, tmp_path):
    TextEncoder(tiny_encoder("bert"), pretrained=False).save_assets(tmp_path)
    table.save_assets(tmp_path)
    again = PieceTable(tmp_path).encode(SENTENCES, max_pieces=32)
    assert torch.equal(again.input_ids, table.encode(SENTENCES, max_pieces=32).input_ids)
