"""The two attentions of ACN: words over image regions, image over words."""

import torch
from torch import Tensor, nn
from torch.nn import functional

MERGES = ("concat", "add", "mean")


class MergedAttention(nn.Module):
    """Score each key for each query from a merged pair of projections, and average the keys.

    `concat` is the published form: score = w . tanh([W_q q + b ; W_k k]). Because tanh acts
    element-wise, that is f(q) + g(k), and f(q) cancels in the softmax over the keys: every query
    gets the same weights. It is computed in that separable form, once a sentence. The parameters
    without effect are kept (checkpoints convert one to one) but ask for no gradient, which
    distributed training would miss otherwise.

    `add` is the evident intention, not the published model: score = w . tanh(W_q q + b + W_k k).
    `mean` is the ablation without attention: every key weighs the same, and nothing is learned.

    Args:
        width: of queries, keys and projections.
        merge: `concat`, `add` or `mean`.

    Raises:
        ValueError: another merge.

    Source: Zhang et al. 2018, eqs. of word-guided and image-guided attention.
    """

    def __init__(self, width: int, merge: str) -> None:
        if merge not in MERGES:
            raise ValueError(f"merge must be one of {MERGES}, got {merge!r}")
        super().__init__()
        self.merge = merge
        if merge == "mean":
            return
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(2 * width if merge == "concat" else width, 1)
        # A constant added to every score cancels in the softmax, in both forms.
        self.score.bias.requires_grad_(False)
        if merge == "concat":
            self.query.requires_grad_(False)

    def forward(
        self, queries: Tensor, keys: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            queries: shape (B, Q, D); Q may be 1 where all queries are equal.
            keys: shape (B, N, D), also the values.
            mask: shape (B, N), bool, true on keys that may be attended to; None allows all.

        Returns:
            The attended vectors, shape (B, Q, D) in `add` mode and (B, 1, D) in the others (all
            queries share them), and the weights, shape (B, 1 or Q, N).
        """
        scores = self._scores(queries, keys)  # shape: (B, 1 or Q, N)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, :], -torch.inf)
        weights = scores.softmax(dim=-1)
        return weights @ keys, weights

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        if self.merge == "mean":
            return keys.new_zeros(len(keys), 1, keys.shape[1])
        key = self.key(keys)[:, None]  # shape: (B, 1, N, D)
        if self.merge == "concat":
            weight = self.score.weight[:, key.shape[-1] :]  # the half that meets the keys
            scores = functional.linear(torch.tanh(key), weight)
        else:
            merged = torch.tanh(self.query(queries)[:, :, None] + key)  # shape: (B, Q, N, D)
            scores = functional.linear(merged, self.score.weight)
        return scores.squeeze(-1)
