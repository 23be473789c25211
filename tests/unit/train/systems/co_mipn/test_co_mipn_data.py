"""Co-MIPN's way from samples and stores to tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertTokenizer

from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.images.decode import center_crop, resize_shorter_side
from extract.networks.checkpoints.tokenizer_files import PROBE
from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from tests.builders.train.co_mipn_tiny import SIZE, build, example, write_checkpoints
from train.blocks.special_labels import SpecialLabels
from train.data.examples import Example
from train.data.pieces import PieceTable

TYPES = ["PER", "LOC", "ORG", "MISC"]
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "rt",
    "@",
    "kevin",
    "##s",
    "dur",
    "##ant",
    "to",
    "golden",
    "state",
    "war",
    "##riors",
    ".",
    "!",
    "hello",
    "a",
    *PROBE,
]
WORDS = ["RT", "@", "Kevin", "Durant", "to", "Golden", "State", "Warriors"]
TAGS = ["O", "O", "B-PER", "I-PER", "O", "B-MISC", "I-MISC", "I-MISC"]


@pytest.fixture(scope="module")
def vocabulary_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    vocabulary = {piece: number for number, piece in enumerate(VOCABULARY)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True).save_pretrained(folder)
    BertConfig(vocab_size=len(VOCABULARY)).save_pretrained(folder)
    return folder


def lay_out(folder: Path, words, tags, length: int, empty_word: str = "unk"):
    """Return ids, labels and mask of one sentence."""
    pieces = PieceTable(folder, empty_word=empty_word).encode(
        [words], max_pieces=length, pad_to=length
    )
    labels = SpecialLabels(TYPES).encode([Sample("s", "i", list(words), list(tags))], pieces)
    return (
        pieces.input_ids[0].tolist(),
        labels[0].tolist(),
        int(pieces.attention_mask.sum()),
    )


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def test_label_ids():
    names = SpecialLabels(TYPES).names
    assert names == (
        [
            "PAD",
            "O",
            "B-MISC",
            "I-MISC",
            "B-PER",
            "I-PER",
            "B-ORG",
            "I-ORG",
            "B-LOC",
            "I-LOC",
            "X",
            "[CLS]",
            "[SEP]",
        ]
    )
    assert SpecialLabels(["PER", "FOOD"]).names[2:6] == ["B-PER", "I-PER", "B-FOOD", "I-FOOD"]


def test_pieces_and_labels_of_a_sentence(vocabulary_folder):
    ids, labels, length = lay_out(vocabulary_folder, WORDS, TAGS, 16)
    assert ids == numbers("2 5 6 7 9 10 11 12 13 14 15 3 0 0 0 0")
    assert labels == numbers("11 1 1 4 5 10 1 2 3 3 10 12 0 0 0 0")
    assert length == 12
    ids, labels, _ = lay_out(vocabulary_folder, WORDS, TAGS, 8)
    assert ids == numbers("2 5 6 7 9 10 11 3") and labels == numbers("11 1 1 4 5 10 1 12")
    for limit, expected in {11: 11, 12: 12}.items():
        assert lay_out(vocabulary_folder, WORDS, TAGS, limit)[2] == expected


def test_words_without_pieces_by_rule(vocabulary_folder):
    words, tags = ["hello", "\ufe0f"], ["O", "B-LOC"]
    ids, labels, _ = lay_out(vocabulary_folder, words, tags, 3, "drop")
    assert ids == [2, 18, 3] and labels == [11, 1, 12]
    ids, labels, _ = lay_out(vocabulary_folder, words, tags, 4)
    assert ids == [2, 18, 1, 3] and labels == [11, 1, 8, 12]


def test_crops_too_many_and_missing(tmp_path, tiny_encoder):
    model = build(write_checkpoints(tmp_path, tiny_encoder("bert")), "upstream")
    rows = np.arange(5, dtype=np.uint8)[:, None].repeat(SIZE * SIZE * 3, axis=1) * 50
    five = example(0)
    five.items["crops"] = StoredItem(STATUS["ok"], features=rows)
    none = example(1, crops=0)
    batch = model.collate([five, none])
    means = batch["images"][0, 1:, 0].mean(dim=(1, 2))
    expected = (torch.tensor([0, 50, 100]) / 255 - 0.485) / 0.229
    torch.testing.assert_close(means, expected)
    assert (batch["images"][1, 1:] == 0).all() and (batch["images"][1, 0] != 0).any()
    assert batch["present"].tolist() == [[True] * 4, [True, False, False, False]]


def test_resize_and_crop_of_a_gradient():
    from PIL import Image

    columns = np.arange(400, dtype=np.uint8)[None, :, None] // 2
    image = Image.fromarray(np.broadcast_to(columns, (300, 400, 3)).copy())
    resized = resize_shorter_side(image, 256, resample="bilinear")
    assert resized.size == (341, 256)
    square = center_crop(resized, 224, rounding="half_even")
    expected = np.asarray(resized)[16 : 16 + 224, 58 : 58 + 224]
    assert np.array_equal(np.asarray(square), expected)


PIECES = {
    ("twitter2015", "train"): (4000, 6166, 40, 59, 68, 0),
    ("twitter2015", "valid"): (1000, 1541, 41, 60, 66, 1),
    ("twitter2015", "test"): (3257, 5072, 41, 59, 78, 0),
    ("twitter2017", "train"): (3373, 6049, 17, 34, 54, 116),
    ("twitter2017", "valid"): (723, 1324, 18, 33, 39, 16),
    ("twitter2017", "test"): (723, 1351, 17, 33, 39, 26),
}


@pytest.mark.parametrize(("corpus", "split"), PIECES)
def test_counts_of_the_real_corpora(shared_data, minilm, corpus, split):
    """MiniLM's vocabulary is that of bert-base-uncased, 30,522 pieces."""
    samples = list(iter_samples(shared_data / corpus, split, TextSettings()))
    table = PieceTable(minilm, empty_word="drop")
    assert len(table.tokenizer) == 30522
    counts, empty = [], []
    for sample in samples:
        pieces = table.pieces(sample.tokens)
        counts.append(sum(map(len, pieces)))
        empty += [tag for tag, word in zip(sample.tags, pieces, strict=True) if not word]
    n_entities = sum(tag.startswith("B-") for sample in samples for tag in sample.tags)
    found = (
        *(len(samples), n_entities, int(np.median(counts))),
        *(sorted(counts)[int(0.99 * len(counts))], max(counts), len(empty)),
    )
    assert found == PIECES[corpus, split]
    assert set(empty) <= {"O"}


def test_a_batch_of_the_model_agrees_with_the_tables(tmp_path, tiny_encoder):
    model = build(write_checkpoints(tmp_path, tiny_encoder("bert")))
    plain = model.collate([example(0)])
    assert plain["labels"][0, 0] == 11 and plain["labels"][0, -1] == 12
    first = plain["first_piece"][0]
    tags = [model.labels.names[number] for number in plain["labels"][0, first].tolist()]
    assert tags == example(0).sample.tags
    others = torch.ones_like(plain["mask"][0])
    others[first] = False
    others[[0, -1]] = False
    assert (plain["labels"][0, others] == model.labels.ids["X"]).all()
    untagged = Sample("s", "i", ["dog"])
    batch = model.collate([Example(untagged, example(0).items)])
    assert batch["labels"] is None
