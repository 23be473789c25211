"""Vectors of a fixed vocabulary of words or characters, unknown ones included."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from train.data.word_vectors import PAD_ID, SPREAD, UNK_ID


class SymbolTable(nn.Embedding):
    """An embedding drawn from U(-0.25, 0.25) whose `[pad]` row never trains.

    Args:
        size: rows, `[pad]` = 0 and `[unk]` = 1 included.
        dim: width of a vector.
        zero_pad: start the `[pad]` row at zero.
        singletons: rows that `singleton_unk` may hit.
        singleton_unk: in training, the probability that such a word is read as `[unk]`, so that
            this row learns what unseen words are like.

    Source: the PyTorch re-implementation's tables, with its random `[pad]` row and frozen
        `[unk]` repaired.
    """

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        zero_pad: bool = True,
        singletons: Sequence[int] = (),
        singleton_unk: float = 0.0,
    ) -> None:
        self._zero_pad = zero_pad
        super().__init__(size, dim, padding_idx=PAD_ID)
        self.singleton_unk = singleton_unk
        is_singleton = torch.zeros(size, dtype=torch.bool)
        is_singleton[list(singletons)] = True
        self.register_buffer("is_singleton", is_singleton, persistent=False)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all rows again."""
        self.weight.uniform_(-SPREAD, SPREAD)
        if self._zero_pad:
            self.weight[PAD_ID] = 0

    @torch.no_grad()
    def fill(self, vectors: Iterable[tuple[int, np.ndarray]]) -> None:
        """Put vectors, shape (dim,), into rows."""
        for row, vector in vectors:
            self.weight[row] = torch.from_numpy(vector)

    def forward(self, word_ids: Tensor, hashed: Tensor | None = None) -> Tensor:
        """Look up.

        Args:
            word_ids: shape (B, W), int64.
            hashed: shape (B, W, dim), used instead wherever it is not NaN; None uses rows only.

        Returns:
            Shape (B, W, dim).
        """
        if self.training and self.singleton_unk:
            drawn = torch.rand(word_ids.shape, device=word_ids.device) < self.singleton_unk
            word_ids = word_ids.masked_fill(drawn & self.is_singleton[word_ids], UNK_ID)
        vectors = super().forward(word_ids)
        if hashed is None:
            return vectors
        return torch.where(hashed.isnan(), vectors, hashed.to(vectors.dtype))
