"""BERT whose self-attention meets the image: prompts replace or extend queries, keys and values.

A prompt is a table of rows from four images; `to_heads` deals the rows out to the attention heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from train.blocks.attention import dot_product_attention


@dataclass(frozen=True)
class BranchKind:
    """What one branch attends with and to."""

    image_query: bool
    """The queries are the image's; the text asks nothing."""
    image_keys: bool
    """The image's keys and values come first."""
    text_keys: bool
    """The text's own keys and values take part."""


BRANCHES: dict[str, BranchKind] = {
    "memory": BranchKind(image_query=False, image_keys=True, text_keys=False),
    "query": BranchKind(image_query=True, image_keys=False, text_keys=True),
    "prefix": BranchKind(image_query=False, image_keys=True, text_keys=True),  # as in HVPNeT
    "query_prefix": BranchKind(image_query=True, image_keys=True, text_keys=True),
}
"""The four branches of Co-MIPN, in its order; names say what the image is to the text."""


@dataclass(frozen=True)
class LayerPrompt:
    """What the image gives to one layer; A heads of width d, R rows, L queries."""

    query: Tensor | None = None
    """shape: (B, A, L, d)"""
    key: Tensor | None = None
    """shape: (B, A, R, d)"""
    value: Tensor | None = None
    """shape: (B, A, R, d)"""


def to_heads(rows: Tensor, n_heads: int, layout: str) -> Tensor:
    """Deal out prompt rows to attention heads.

    Args:
        rows: shape (B, R, H).
        n_heads: A, a divisor of H.
        layout: `split` gives every head its slice of each row, as transformers do. `raw` only
            reinterprets the memory, as HVPNeT and its heirs do: head h gets the rows
            h R / A .. (h + 1) R / A in slices, so each head sees one image.

    Returns:
        Shape (B, A, R, H / A).
    """
    n_rows, width = rows.shape[1:]
    if layout == "raw":
        return rows.reshape(-1, n_heads, n_rows, width // n_heads)
    return rows.unflatten(2, (n_heads, -1)).transpose(1, 2)


def mask_to_heads(present: Tensor, n_heads: int, layout: str) -> Tensor:
    """Return which positions of `to_heads` come from rows that are there.

    Args:
        present: shape (B, R), bool.
        n_heads: A.
        layout: as in `to_heads`.

    Returns:
        Shape (B, A, R), bool.
    """
    # A head's slices never cross a row, so one channel a head says it all.
    return to_heads(present.unsqueeze(2).expand(-1, -1, n_heads), n_heads, layout).squeeze(3)


def attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, p: float) -> Tensor:
    """Return scaled dot-product attention; zero where a query may look at nothing.

    Args:
        query: shape (B, A, Q, d).
        key: shape (B, A, N, d).
        value: shape (B, A, N, d).
        visible: shape (B, A, N), bool, the same for all queries; None allows all.
        p: dropout on the attention weights.

    Returns:
        Shape (B, A, Q, d).
    """
    if visible is None:
        return dot_product_attention(query, key, value, dropout=p)
    sees = visible.any(dim=2, keepdim=True)  # shape: (B, A, 1)
    # A softmax over nothing is NaN: such a head looks everywhere, and what it found is dropped.
    hidden = (~visible & sees).unsqueeze(2)
    bias = query.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
    found = dot_product_attention(query, key, value, bias, dropout=p)
    return found.masked_fill(~sees.unsqueeze(3), 0.0)


class PromptedEncoder(nn.Module):
    """One branch: a BERT of its own that reads the text with image prompts in every layer.

    Args:
        model: bare BERT, RoBERTa or XLM-R of transformers; its modules are used, not its forward.
        kind: what replaces what.
        keep_unused: keep the projections that this kind never uses, frozen; else delete them.

    Raises:
        ConfigError: a network of another build.

    Source: Co-MIPN's four modified BERT encoders; prefix attention as in Chen et al. 2022, HVPNeT.
    """

    def __init__(self, model: nn.Module, kind: BranchKind, *, keep_unused: bool) -> None:
        super().__init__()
        check_build(model)
        self.model, self.kind = model, kind
        unused = ["query"] if kind.image_query else []
        unused += [] if kind.text_keys else ["key", "value"]
        for layer in model.encoder.layer:
            for name in unused:
                if keep_unused:
                    getattr(layer.attention.self, name).requires_grad_(False)
                else:
                    delattr(layer.attention.self, name)

    def forward(
        self,
        input_ids: Tensor,
        prompts: Sequence[LayerPrompt],
        *,
        present: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> Tensor:
        """Encode the text.

        Args:
            input_ids: shape (B, T), int64.
            prompts: one a layer; its queries are cut to T.
            present: shape (B, A, R), bool, prompt positions that may be looked at; None allows all.
            text_mask: shape (B, T), bool, pieces that may be looked at; None allows all.

        Returns:
            Shape (B, T, H), the states of the last layer.
        """
        visible = self._visible(prompts[0], input_ids, present, text_mask)
        states = self.model.embeddings(input_ids=input_ids)
        for layer, prompt in zip(self.model.encoder.layer, prompts, strict=True):
            found = self._attend(layer.attention.self, states, prompt, visible)
            states = layer.attention.output(found, states)
            states = layer.output(layer.intermediate(states), states)
        return states

    def _visible(
        self,
        prompt: LayerPrompt,
        input_ids: Tensor,
        present: Tensor | None,
        text_mask: Tensor | None,
    ) -> Tensor | None:
        """Return which keys may be looked at, prompts first. # shape: (B, A, N)"""
        if present is None and text_mask is None:
            return None
        table = prompt.query if prompt.key is None else prompt.key
        n_heads, parts = table.shape[1], []
        if self.kind.image_keys:
            everywhere = torch.ones(table.shape[:3], dtype=torch.bool, device=table.device)
            parts.append(everywhere if present is None else present)
        if self.kind.text_keys:
            mask = torch.ones_like(input_ids, dtype=torch.bool) if text_mask is None else text_mask
            parts.append(mask.unsqueeze(1).expand(-1, n_heads, -1))
        return torch.cat(parts, dim=2)

    def _attend(
        self, own: nn.Module, states: Tensor, prompt: LayerPrompt, visible: Tensor | None
    ) -> Tensor:
        """Return the attended values of one layer, heads merged. # shape: (B, T, H)"""
        n_heads = own.num_attention_heads
        if self.kind.image_query:
            query = prompt.query[:, :, : states.shape[1]]
        else:
            query = to_heads(own.query(states), n_heads, "split")
        keys = [prompt.key] if self.kind.image_keys else []
        values = [prompt.value] if self.kind.image_keys else []
        if self.kind.text_keys:
            keys.append(to_heads(own.key(states), n_heads, "split"))
            values.append(to_heads(own.value(states), n_heads, "split"))
        p = own.dropout.p if self.training else 0.0
        found = attend(query, torch.cat(keys, dim=2), torch.cat(values, dim=2), visible, p)
        return found.transpose(1, 2).flatten(2)


def check_build(model: nn.Module) -> None:
    """Check that a network has the layers whose attention a branch takes over.

    Raises:
        ConfigError: it is built otherwise.
    """
    layers = getattr(getattr(model, "encoder", None), "layer", None) or [None]
    own = getattr(getattr(layers[0], "attention", None), "self", None)
    if not all(hasattr(own, name) for name in ("query", "key", "value", "num_attention_heads")):
        raise ConfigError(
            f"{type(model).__name__}: image prompts need the layers of BERT, RoBERTa or XLM-R."
        )
