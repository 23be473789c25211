"""A separate text encoder that gives one vector a sentence."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from train.blocks.text_encoder import TextEncoder
from train.data.pieces import PieceBatch, PieceTable

logger = logging.getLogger(__name__)


class SentenceReader(nn.Module):
    """First state of a pretrained encoder, e.g. an ALBERT, beside the one that tags.

    Args:
        folder: checkpoint folder with config, tokenizer and weights.
        pretrained: False builds the network from its config alone.
        own_pieces: read pieces of the own tokenizer; else the ids of the tagging encoder, which
            mean something else here, with the `unk` piece for those that are too large.
    """

    def __init__(self, folder: Path, *, pretrained: bool, own_pieces: bool) -> None:
        super().__init__()
        self.encoder = TextEncoder(folder, pretrained=pretrained)
        self.table = PieceTable(folder) if own_pieces else None
        self._said_unknown = False

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.encoder.dim

    def collate(self, sentences: Sequence[Sequence[str]], pieces: PieceBatch) -> dict[str, Tensor]:
        """Return `input_ids` and `mask`, shape (B, T).

        Args:
            sentences: the words of each.
            pieces: what the tagging encoder reads.
        """
        if self.table is not None:
            own = self.table.encode(sentences, max_pieces=self.encoder.max_subwords)
            return {"input_ids": own.input_ids, "mask": own.attention_mask}
        beyond = pieces.input_ids >= self.encoder.model.config.vocab_size
        if beyond.any() and not self._said_unknown:
            self._said_unknown = True
            logger.warning(
                "the sentence encoder has fewer pieces than the text encoder, whose ids it is "
                "given: it reads its unknown piece in place of what it lacks (shown once)"
            )
        ids = pieces.input_ids.masked_fill(beyond, self.encoder.specials["unknown"])
        return {"input_ids": ids, "mask": pieces.attention_mask}

    def forward(self, input_ids: Tensor, mask: Tensor, *, mask_padding: bool) -> Tensor:
        """Return the first state of each sentence. # shape: (B, D)"""
        states = read_states(self.encoder, input_ids, mask if mask_padding else None)
        return states[:, 0]


def read_states(reader: TextEncoder, input_ids: Tensor, visible: Tensor | None) -> Tensor:
    """Return the last states of an encoder.

    Args:
        reader: of which only the network is used.
        input_ids: shape (B, T), int64.
        visible: shape (B, T), bool, pieces that may be looked at; None allows all.

    Returns:
        Shape (B, T, H).
    """
    visible = torch.ones_like(input_ids) if visible is None else visible.long()
    return reader.model(input_ids=input_ids, attention_mask=visible).last_hidden_state
