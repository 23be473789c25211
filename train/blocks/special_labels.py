"""Labels of word pieces: BIO on first pieces, special labels on all other positions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from extract.tables.samples import Sample
from extract.tables.tags import tag_set
from train.data.batches import tag_tensor
from train.data.pieces import PieceBatch

PAD, CONTINUED, BEGIN, END = "PAD", "X", "[CLS]", "[SEP]"
SPECIAL = (PAD, CONTINUED, BEGIN, END)

TYPE_ORDER = ("MISC", "PER", "ORG", "LOC")
"""The order of HVPNeT's label list, so that its checkpoints fit; other types follow."""


class SpecialLabels:
    """The label list PAD, O, B and I of each type, X, [CLS], [SEP], and both ways through it.

    Args:
        entity_types: of the corpus.

    Source: the label list of Chen et al. 2022, HVPNeT.
    """

    def __init__(self, entity_types: Sequence[str]) -> None:
        known = [name for name in TYPE_ORDER if name in entity_types]
        types = [*known, *(name for name in entity_types if name not in known)]
        self.names = [PAD, *tag_set(types), CONTINUED, BEGIN, END]
        self.ids = {name: index for index, name in enumerate(self.names)}
        self._tag_ids = {name: self.ids[name] for name in self.names if name not in SPECIAL}

    def encode(self, samples: Sequence[Sample], pieces: PieceBatch) -> Tensor | None:
        """Return the label of every position, or None when a sample has no tags.

        Returns:
            Shape (B, L), int64.

        Raises:
            DataError: a tag of a type that the model was not told of.
        """
        n_words = pieces.first_piece.shape[1]
        tags = tag_tensor(samples, self._tag_ids, n_words)
        if tags is None:
            return None
        labels = torch.full_like(pieces.input_ids, self.ids[PAD])
        labels[pieces.word_of_piece >= 0] = self.ids[CONTINUED]
        rows, words = torch.nonzero(pieces.first_piece >= 0, as_tuple=True)
        labels[rows, pieces.first_piece[rows, words]] = tags[rows, words]
        labels[:, 0] = self.ids[BEGIN]
        ends = pieces.attention_mask.sum(dim=1) - 1
        labels[torch.arange(len(labels)), ends] = self.ids[END]
        return labels

    def of_words(
        self, paths: Sequence[Sequence[int]], first_piece: Tensor
    ) -> list[list[str | None]]:
        """Return the label at each word's first piece; None where there is none.

        Args:
            paths: label ids of the positions of each sentence.
            first_piece: shape (B, W), -1 where a word was not read.
        """
        return [
            [self.names[path[place]] if place >= 0 else None for place in places]
            for path, places in zip(paths, first_piece.tolist(), strict=True)
        ]

    def special_ids(self) -> list[int]:
        """Return the ids of the labels that are no tags."""
        return [self.ids[name] for name in SPECIAL]


def as_tags(labels: Sequence[str | None]) -> list[str]:
    """Return labels of words as BIO tags: neither a special label nor None is an entity."""
    return ["O" if label is None or label in SPECIAL else label for label in labels]
