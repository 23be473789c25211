"""How sure a CRF is of each tag on its best path, as a probability for every word."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from train.blocks.crf import LinearChainCRF

Marginals = list[list[float | None]]
"""A probability for each word of each sentence; None where the word was not read."""


@torch.no_grad()
def path_marginals(crf: LinearChainCRF, emissions: Tensor, mask: Tensor) -> list[list[float]]:
    """Return p(tag at position i | sentence) of each tag on the best path.

    The tag is the CRF's own: under BIOES, `S-X` and `B-X` are two tags, though both are `B-X` in
    BIO.

    Args:
        crf: the one that decodes, constraints included.
        emissions: shape (B, W, K).
        mask: shape (B, W), bool.

    Source: forward-backward, Rabiner 1989.
    """
    paths, _ = crf.viterbi(emissions, mask)
    rows = crf.log_marginals(emissions, mask).exp().cpu()
    return [
        row[torch.arange(len(path)), path].tolist() for row, path in zip(rows, paths, strict=True)
    ]


def of_words(rows: Sequence[Sequence[float]], n_tokens: Sequence[int]) -> Marginals:
    """Return the rows with None for the tokens that were cut off."""
    return [[*row, *[None] * (n - len(row))] for row, n in zip(rows, n_tokens, strict=True)]


def piece_marginals(crf: LinearChainCRF, emissions: Tensor, batch: Mapping[str, Any]) -> Marginals:
    """Return p of the tag at each word's first piece, for a CRF over word pieces.

    Args:
        crf: the one that decodes.
        emissions: shape (B, L, K).
        batch: `mask`, shape (B, L); `first_piece`, shape (B, W), position for each word, -1 for one
            that was not read; `n_tokens`, number of words of each sentence.
    """
    rows = path_marginals(crf, emissions, batch["mask"])
    places = zip(rows, batch["first_piece"].tolist(), batch["n_tokens"], strict=True)
    return [[row[p] if p >= 0 else None for p in first[:n]] for row, first, n in places]
