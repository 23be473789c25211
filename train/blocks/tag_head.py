"""From word vectors to tags: dropout, linear layer and CRF, with the tag names they stand for."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from extract.tables.samples import Sample
from extract.tables.tags import bio_to_bioes, bioes_to_bio, tag_set
from train.blocks.crf import LinearChainCRF
from train.data.batches import tag_tensor


class WordDropout(nn.Module):
    """Zero whole word vectors, each with probability `p`, and leave the others as they are.

    Unlike ordinary dropout nothing is scaled by 1 / (1 - p).

    Source: flair's WordDropout (Akbik et al. 2018), drawn for each word of each sentence.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, words: Tensor) -> Tensor:
        """Return words of shape (B, W, D), some of them zero when training."""
        if not self.training or self.p == 0:
            return words
        kept = torch.rand(words.shape[:2], device=words.device) >= self.p
        return words * kept.unsqueeze(2)


class TagCodec:
    """BIO tags of the corpus <-> tag ids of the model, by way of BIOES when asked.

    Args:
        entity_types: types in the order that fixes the ids.
        scheme: `bio` or `bioes`, what the model's tags are.
    """

    def __init__(self, entity_types: Sequence[str], scheme: str) -> None:
        self.scheme = scheme
        self.tags = tag_set(entity_types, scheme)
        self.ids = {tag: index for index, tag in enumerate(self.tags)}

    def encode(self, samples: Sequence[Sample]) -> Tensor | None:
        """Return padded tag ids, or None when a sample has no tags. # shape: (B, W)

        Raises:
            DataError: a tag of a type that the model was not told of.
        """
        if self.scheme == "bioes":
            samples = [replace(s, tags=s.tags and bio_to_bioes(s.tags)) for s in samples]
        return tag_tensor(samples, self.ids, max(len(sample.tokens) for sample in samples))

    def decode(self, paths: Sequence[Sequence[int]]) -> list[list[str]]:
        """Return BIO tags of each path of tag ids."""
        named = [[self.tags[index] for index in path] for path in paths]
        return [bioes_to_bio(tags) for tags in named] if self.scheme == "bioes" else named


class TagHead(nn.Module):
    """Dropout, word dropout and a linear layer that gives emissions; and the CRF over them.

    Args:
        dim: D of the word vectors.
        num_tags: K.
        dropout: on single channels, scaled.
        word_dropout: on whole words, not scaled.
        crf_init: see `LinearChainCRF`.
    """

    def __init__(
        self, dim: int, num_tags: int, *, dropout: float, word_dropout: float, crf_init: str
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.linear = nn.Linear(dim, num_tags)
        self.crf = LinearChainCRF(num_tags, init=crf_init)

    def forward(self, words: Tensor) -> Tensor:
        """Return emissions of word vectors (B, W, D). # shape: (B, W, K), float32"""
        # Autocast is for the encoder: bfloat16 emissions would cost the CRF its precision.
        with torch.autocast(words.device.type, enabled=False):
            words = words.to(self.linear.weight.dtype)
            return self.linear(self.word_dropout(self.dropout(words)))
