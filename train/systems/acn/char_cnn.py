"""Character encoder of ACN: parallel convolutions over a word's characters, maximum over time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from train.systems.acn.symbol_table import SymbolTable


class CharCNN(nn.Module):
    """Word vectors from characters.

    Args:
        size: characters in the vocabulary, with `[pad]` = 0.
        char_dim: width of a character vector.
        filters: convolution filters for each width.
        widths: filter widths in characters.
        hidden: width of the hidden layer.
        output: width of the result.
        dropout: after each pooled convolution and after the hidden layer.
        masked_max: True pools over what a word of n characters alone would produce, so the result
            does not depend on padding. False is the PyTorch re-implementation's window:
            padding takes part and the last position never does.
        zero_pad: start the `[pad]` row of the character table at zero.

    Source: Zhang et al. 2018, Adaptive Co-attention Network.
    """

    def __init__(
        self,
        size: int,
        *,
        char_dim: int,
        filters: int,
        widths: Sequence[int],
        hidden: int,
        output: int,
        dropout: float,
        masked_max: bool = True,
        zero_pad: bool = True,
    ) -> None:
        super().__init__()
        self.masked_max = masked_max
        self.table = SymbolTable(size, char_dim, zero_pad=zero_pad)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(char_dim, filters, width, padding=width // 2) for width in widths
        )
        self.hidden = nn.Linear(filters * len(widths), hidden)
        self.output = nn.Linear(hidden, output)
        self.dropout = nn.Dropout(dropout)

    def forward(self, char_ids: Tensor, char_lengths: Tensor) -> Tensor:
        """Encode each word.

        Args:
            char_ids: shape (B, W, C), int64, 0 after the last character.
            char_lengths: shape (B, W), int64, characters a word; 0 for padding tokens.

        Returns:
            Shape (B, W, output).
        """
        words = char_ids.flatten(0, 1)  # shape: (B*W, C)
        lengths = char_lengths.flatten()  # shape: (B*W,)
        vectors = self.table(words)
        if self.masked_max:
            is_char = torch.arange(words.shape[1], device=words.device) < lengths[:, None]
            vectors = vectors * is_char[..., None]
        vectors = vectors.transpose(1, 2)  # shape: (B*W, char_dim, C)
        pooled = [self.dropout(self._pool(conv, vectors, lengths)) for conv in self.convolutions]
        hidden = self.dropout(torch.relu(self.hidden(torch.cat(pooled, dim=1))))
        return self.output(hidden).unflatten(0, char_ids.shape[:2])

    def _pool(self, conv: nn.Conv1d, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the maximum over time of one filter width. # shape: (B*W, filters)"""
        width = conv.kernel_size[0]
        scores = conv(vectors)  # shape: (B*W, filters, C + 1 or C)
        # tanh rises monotonically, so it may follow the maximum: same value, far fewer of them.
        if not self.masked_max:
            return torch.tanh(scores[..., : vectors.shape[2] - width + 1].amax(dim=2))
        produced = lengths + 1 - width % 2
        position = torch.arange(scores.shape[2], device=scores.device)
        outside = position >= produced[:, None]  # shape: (B*W, C + 1 or C)
        best = scores.masked_fill(outside[:, None, :], -torch.inf).amax(dim=2)
        # A padding token has no character: zero, not the maximum over nothing.
        return torch.tanh(best).masked_fill((lengths == 0)[:, None], 0.0)
