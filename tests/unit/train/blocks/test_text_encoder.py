"""Words to vectors: tokenisation word by word, first pieces, windows, and reloading."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoTokenizer

from extract.core.errors import DataError, MissingFileError
from train.blocks.text_encoder import SEP, TextEncoder, cut_windows

FAMILIES = ("bert", "roberta", "xlmr")
SENTENCES = [
    ["Kevin", "Durant", "at", "Oakland", ",", "http://t.co/abc123", "!"],
    ["hello-world"],
    ["RT", "\ufe0f", "@user", "don't", "#NBA", "\U0001f602\U0001f602", "Zürich"],
]


@pytest.mark.parametrize("family", FAMILIES)
def test_word_by_word_equals_is_split_into_words(tiny_encoder, family):
    encoder = TextEncoder(tiny_encoder(family), pretrained=True)
    for words in SENTENCES:
        whole = encoder.tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        expected = [[] for _ in words]
        for piece, word in zip(whole["input_ids"], whole.word_ids(), strict=True):
            expected[word].append(piece)
        unknown = [encoder.tokenizer.unk_token_id]
        found = [list(pieces) for pieces in encoder.pieces(words)]
        assert found == [pieces or unknown for pieces in expected]


def test_word_by_word_equals_is_split_into_words_minilm(minilm):
    encoder = TextEncoder(minilm, pretrained=False)
    for words in SENTENCES:
        whole = encoder.tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        found = [piece for word in encoder.pieces(words) for piece in word]
        unknown = encoder.tokenizer.unk_token_id
        assert [piece for piece in found if piece != unknown] == [
            piece for piece in whole["input_ids"] if piece != unknown
        ]


def test_byte_level_words_are_read_with_their_leading_space(tiny_encoder):
    folder = tiny_encoder("roberta")
    raw = AutoTokenizer.from_pretrained(folder)
    encoder = TextEncoder(folder, pretrained=True)
    sentence = raw(" the dog and the cat", add_special_tokens=False)["input_ids"]
    words = ["the", "dog", "and", "the", "cat"]
    found = [piece for pieces in encoder.pieces(words) for piece in pieces]
    assert found == sentence
    assert found[0] != raw("the", add_special_tokens=False)["input_ids"][0]


@pytest.mark.parametrize(
    ("family", "end"), [("bert", "[SEP]"), ("roberta", "</s>"), ("xlmr", "</s>")]
)
def test_only_the_marker_makes_a_separator(tiny_encoder, family, end):
    encoder = TextEncoder(tiny_encoder(family), pretrained=True)
    end_id = encoder.tokenizer.convert_tokens_to_ids(end)
    spelled = encoder.tokenize([["a", end, "<EOS>", "[SEP]", "</s>"]])["input_ids"]
    assert (spelled == end_id).sum() == 1  # the final special piece alone
    marked = encoder.tokenize([["a", SEP, "man", SEP, "sign"]])["input_ids"]
    assert (marked == end_id).sum() == 3
    assert marked[0, 0] == encoder.tokenizer.cls_token_id


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_is_the_state_of_its_first_piece(tiny_encoder, family):
    encoder = TextEncoder(tiny_encoder(family), pretrained=True).eval()
    words = ["the", "surfboarding", "dog"]
    assert len(encoder.pieces(["surfboarding"])[0]) >= 2
    batch = encoder.tokenize([words])
    starts = [1]
    for pieces in encoder.pieces(words)[:-1]:
        starts.append(starts[-1] + len(pieces))
    assert batch["first_subword"].tolist() == [starts]
    states = encoder.model(batch["input_ids"]).last_hidden_state[0]
    torch.testing.assert_close(encoder(**batch)[0], states[starts])


def test_index_of_first_pieces_written_by_hand(tiny_encoder):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    encoder._pieces = {"one": (10,), "three": (11, 12, 13), "none": (), "two": (14, 15)}
    batch = encoder.tokenize([["one", "three", "none", "two"], ["two", "one"]])
    begin, end, pad = (encoder.specials[name] for name in ("begin", "end", "padding"))
    assert batch["input_ids"].tolist() == [
        [begin, 10, 11, 12, 13, 14, 15, end],
        [begin, 14, 15, 10, end, pad, pad, pad],
    ]
    assert batch["attention_mask"].sum(1).tolist() == [8, 5]
    assert batch["first_subword"].tolist() == [[1, 2, -1, 5], [8 + 1, 8 + 3, -1, -1]]


@pytest.mark.parametrize("rule", ["unk", "zero"])
def test_words_without_pieces_stay_aligned(minilm, rule):
    encoder = TextEncoder(minilm, pretrained=False, empty_word=rule).eval()
    words = ["nice", "\ufe0f", "London"]
    with torch.no_grad():
        vectors = encoder(**encoder.tokenize([words, ["a"]]))
        without = encoder(**encoder.tokenize([["nice", "London"]]))
    assert vectors.shape == (2, 3, 384)
    assert (vectors[0, 1] == 0).all() == (rule == "zero")
    assert (vectors[1, 1:] == 0).all()
    if rule == "zero":
        torch.testing.assert_close(vectors[0, [0, 2]], without[0], atol=1e-5, rtol=0)
    else:
        assert encoder.pieces(["\ufe0f"]) == [(encoder.tokenizer.unk_token_id,)]


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_uses_the_real_pad_id_and_changes_nothing(tiny_encoder, family):
    encoder = TextEncoder(tiny_encoder(family), pretrained=True).eval()
    batch = encoder.tokenize(SENTENCES)
    padding = batch["input_ids"][batch["attention_mask"] == 0]
    assert len(padding) > 0 and (padding == encoder.tokenizer.pad_token_id).all()
    with torch.no_grad():
        together = encoder(**batch)
        for b, words in enumerate(SENTENCES):
            alone = encoder(**encoder.tokenize([words]))[0]
            torch.testing.assert_close(together[b, : len(words)], alone, atol=1e-5, rtol=0)
            assert (together[b, len(words) :] == 0).all()


def test_where_the_windows_of_700_pieces_are_cut():
    first, second = cut_windows(700, 510)
    assert (first.start, first.stop) == (0, 510) and (second.start, second.stop) == (254, 700)
    assert (first.kept_stop, second.kept_stop) == (382, 700)


@pytest.mark.parametrize("size", [2, 3, 7, 62, 510])
@pytest.mark.parametrize("length", [0, 1, 61, 62, 63, 511, 1500])
def test_windows_keep_every_piece_once(size, length):
    windows = cut_windows(length, size)
    joins = [0, *(w.kept_stop for w in windows)]
    assert joins == sorted(joins) and joins[-1] == length
    for window, kept_start in zip(windows, joins, strict=False):
        assert window.stop - window.start <= size
        assert window.start <= kept_start and window.kept_stop <= window.stop


class EchoModel(nn.Module):
    """Stub encoder: the state of a piece is its own id."""

    def forward(self, input_ids, attention_mask):
        return type("Output", (), {"last_hidden_state": input_ids[..., None].float()})


def test_long_sentences_are_stitched_from_windows(tiny_encoder):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    words = [f"w{i}" for i in range(700)]
    encoder._pieces = {word: (i + 1000,) for i, word in enumerate(words)}
    encoder.model = EchoModel()
    batch = encoder.tokenize([words, words[:5]])
    assert batch["input_ids"].shape == (3, 512)
    stitched = encoder(**batch)[..., 0]
    assert (stitched[0] - 1000).tolist() == list(range(700))
    assert (stitched[1, :5] - 1000).tolist() == list(range(5))
    in_first = (batch["first_subword"][0] < 512).sum()
    assert in_first == 382


@pytest.mark.parametrize("family", FAMILIES)
def test_windows_never_exceed_the_positions(tiny_encoder, family):
    encoder = TextEncoder(tiny_encoder(family, 40), pretrained=True).eval()
    assert encoder.max_subwords == 40
    batch = encoder.tokenize([["dog"] * 100, ["cat"]])
    assert batch["input_ids"].shape[1] == 40
    with torch.no_grad():
        vectors = encoder(**batch)
    assert vectors.shape[:2] == (2, 100) and vectors.isfinite().all()
    assert (vectors[0].abs().sum(1) > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_assets_rebuild_the_same_encoder(tiny_encoder, tmp_path, family):
    encoder = TextEncoder(tiny_encoder(family), pretrained=True).eval()
    encoder.save_assets(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    again = TextEncoder(tmp_path, pretrained=False).eval()
    again.load_state_dict(encoder.state_dict())
    batch, batch_again = encoder.tokenize(SENTENCES), again.tokenize(SENTENCES)
    assert all(torch.equal(batch[key], batch_again[key]) for key in batch)
    with torch.no_grad():
        assert torch.equal(encoder(**batch), again(**batch_again))
    source = str(tiny_encoder(family))
    assert not any(source in file.read_text() for file in tmp_path.iterdir())


def test_pretrained_weights_are_loaded_whole_and_without_pooler(tiny_encoder):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    reference = AutoModel.from_pretrained(tiny_encoder("bert")).state_dict()
    own = encoder.model.state_dict()
    assert {key for key in reference if not key.startswith("pooler")} == set(own)
    assert all(torch.equal(own[key], reference[key]) for key in own)
    assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())


@pytest.mark.parametrize("problem", ["missing", "shape", "unknown"])
def test_wrong_weights_are_refused(tiny_encoder, tmp_path, problem):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    encoder.save_assets(tmp_path)
    tensors = load_file(tiny_encoder("bert") / "model.safetensors")
    key = "encoder.layer.1.output.dense.weight"
    if problem == "missing":
        del tensors[key]
    elif problem == "shape":
        tensors[key] = torch.zeros(3, 3)
    else:
        tensors["encoder.layer.9.output.dense.weight"] = torch.zeros(32, 64)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"encoder\.layer\.[19]\.output"):
        TextEncoder(tmp_path, pretrained=True)


def test_half_precision_checkpoints_are_raised_to_float32(tiny_encoder, tmp_path):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    encoder.model.half().save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float16"
    for pretrained in (True, False):
        loaded = TextEncoder(tmp_path, pretrained=pretrained)
        assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_a_folder_without_encoder_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        TextEncoder(tmp_path, pretrained=True)


def test_a_folder_without_weights_is_named(tiny_encoder, tmp_path):
    TextEncoder(tiny_encoder("bert"), pretrained=True).save_assets(tmp_path)
    with pytest.raises(MissingFileError, match="no weights: expected model"):
        TextEncoder(tmp_path, pretrained=True)


def test_each_word_is_tokenised_once(tiny_encoder, monkeypatch):
    encoder = TextEncoder(tiny_encoder("bert"), pretrained=True)
    seen = []
    tokenizer = encoder.tokenizer
    monkeypatch.setattr(
        encoder, "tokenizer", lambda words, **kw: seen.extend(words) or tokenizer(words, **kw)
    )
    for _ in range(3):
        encoder.tokenize([["the", "dog"], ["the", "cat"]])
    assert seen == [["the"], ["dog"], ["cat"]]
