"""Tiny random text encoders, one of each tokenizer family, and the dummy tagging system."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

from tests.builders.train import dummy_system

CORPUS = [
    "Kevin Durant plays for the Warriors in Oakland tonight , see you there !",
    "the dog and the cat are sleeping on a red sofa near the window",
    "a man riding a wave on top of a surfboard in the ocean",
    "RT @user : Justin Bieber at Madison Square Garden , New York http://t.co/abc123",
    "caption words : stadium crowd player ball sign street car tree building",
] * 4
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def bert(positions: int):
    """Return (tokenizer, model) of the WordPiece family."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=BERT_SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator([line.lower() for line in CORPUS], trainer)
    fast = BertTokenizer(vocab=tokenizer.get_vocab(), do_lower_case=True)
    config = BertConfig(vocab_size=len(fast), max_position_embeddings=positions, **SIZES)
    return fast, BertModel(config)


def roberta(positions: int):
    """Return (tokenizer, model) of the byte-level BPE family; words are read without a space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=ROBERTA_SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    merges = [tuple(pair) for pair in _state(tokenizer)["model"]["merges"]]
    fast = RobertaTokenizer(vocab=tokenizer.get_vocab(), merges=merges)
    config = RobertaConfig(
        vocab_size=len(fast), max_position_embeddings=positions + 2, pad_token_id=1, **SIZES
    )
    return fast, RobertaModel(config)


def xlmr(positions: int):
    """Return (tokenizer, model) of the Unigram (SentencePiece) family."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=150, special_tokens=ROBERTA_SPECIALS, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    pieces = [(piece, score) for piece, score in _state(tokenizer)["model"]["vocab"]]
    fast = XLMRobertaTokenizer(vocab=pieces)
    config = XLMRobertaConfig(
        vocab_size=len(fast), max_position_embeddings=positions + 2, pad_token_id=1, **SIZES
    )
    return fast, XLMRobertaModel(config)


def _state(tokenizer: Tokenizer) -> dict:
    """Return a tokenizer's serialised form."""
    import json

    return json.loads(tokenizer.to_str())


FAMILIES = {"bert": bert, "roberta": roberta, "xlmr": xlmr}


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Factory: (family, positions) -> checkpoint folder with random weights, pooler included."""
    folders: dict[tuple[str, int], Path] = {}

    def make(family: str = "bert", positions: int = 512) -> Path:
        key = family, positions
        if key not in folders:
            torch.manual_seed(7)
            tokenizer, model = FAMILIES[family](positions)
            folders[key] = tmp_path_factory.mktemp(f"{family}_{positions}")
            tokenizer.save_pretrained(folders[key])
            model.save_pretrained(folders[key])
        return folders[key]

    return make


@pytest.fixture
def dummy() -> Iterator[None]:
    """Have the system `dummy` in the registry."""
    undo = dummy_system.register()
    yield
    undo()
