"""Tags of word pieces: a word's tag on all its pieces, [CLS] and [SEP] at the two ends."""

from collections.abc import Sequence

import torch
from torch import Tensor

from extract.tables.samples import Sample
from extract.tables.tags import split_tag, tag_set
from train.blocks.special_labels import BEGIN, END, TYPE_ORDER
from train.data.batches import tag_tensor
from train.data.pieces import PieceBatch

CONTINUATIONS = ("repeat", "inside")


class PieceTags:
    """The tags [CLS], O, B and I of each type, [SEP], and both ways through them.

    Args:
        entity_types: of the corpus; the usual four get the ids of released checkpoints.
        continuation: tag of the later pieces of a word tagged `B-X`: `repeat` it, or `inside`,
            `I-X`.
    """

    def __init__(self, entity_types: Sequence[str], continuation: str = "repeat") -> None:
        if continuation not in CONTINUATIONS:
            raise ValueError(f"continuation must be one of {CONTINUATIONS}, got {continuation!r}")
        known = [name for name in TYPE_ORDER if name in entity_types]
        types = [*known, *(name for name in entity_types if name not in known)]
        self.names = [BEGIN, *tag_set(types), END]
        self.continuation = continuation
        self._ids = {tag: i for i, tag in enumerate(self.names) if tag not in (BEGIN, END)}

    @property
    def special_ids(self) -> list[int]:
        """The ids of [CLS] and [SEP]."""
        return [0, len(self.names) - 1]

    def encode(self, samples: Sequence[Sample], pieces: PieceBatch) -> Tensor | None:
        """Return the tag id of every position, 0 on padding; None when a sample has no tags.

        Returns:
            Shape (B, L), int64.

        Raises:
            DataError: a tag of a type that the model was not told of.
        """
        of_words = tag_tensor(samples, self._ids, pieces.first_piece.shape[1])
        if of_words is None:
            return None
        begin, end = self.special_ids
        tags = pieces.of_pieces(of_words, elsewhere=begin)
        if self.continuation == "inside":
            tags = torch.where(self._continues(pieces), self._inside[tags], tags)
        last = pieces.attention_mask.sum(dim=1) - 1
        tags[torch.arange(len(tags)), last] = end
        return tags

    @property
    def _inside(self) -> Tensor:
        """Tag id -> id of what continues it. # shape: (K,)"""
        pairs = [split_tag(tag) for tag in self.names]
        return torch.tensor(
            [
                self._ids[f"I-{kind}"] if prefix == "B" else index
                for index, (prefix, kind) in enumerate(pairs)
            ]
        )

    def _continues(self, pieces: PieceBatch) -> Tensor:
        """Return which pieces are not the first of their word. # shape: (B, L), bool"""
        words = pieces.word_of_piece
        same = torch.zeros_like(words, dtype=torch.bool)
        same[:, 1:] = (words[:, 1:] == words[:, :-1]) & (words[:, 1:] >= 0)
        return same

    def of_words(self, path: Sequence[int], first_piece: Sequence[int]) -> list[str]:
        """Return the name of the tag at each word's first piece; `O` for words that were not read.

        Args:
            path: tag ids of the positions of one sentence.
            first_piece: position for each word, -1 for none.
        """
        return [self.names[path[place]] if place >= 0 else "O" for place in first_piece]


def outside(tags: Sequence[str]) -> list[str]:
    """Return tags of words in which [CLS] and [SEP] mean that there is no entity."""
    return ["O" if tag in (BEGIN, END) else tag for tag in tags]


def as_entities(tags: Sequence[str]) -> list[str]:
    """Return tags of words in which [CLS] and [SEP] are entities, of types `CLS]` and `SEP]`.

    This is how seqeval reads them: a first character, and the rest as the type.
    """
    return [f"I-{tag[1:]}" if tag in (BEGIN, END) else tag for tag in tags]
