"""Iterative feature fusion engine (IFFE): dynamic routing between two streams, token by token.

Each text token has two input capsules, its text and its visual feature, and one output capsule.
The softmax runs over the two modalities. Published is an improved dynamic routing that adjusts
modality weights and updates features in every pass; the variants are from released code (an
earlier state of the model), the agreement scale and the readouts partly our reconstruction.
Capsules: Sabour et al. 2017, Dynamic Routing Between Capsules.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from train.systems.rpi_hmif.mining_blocks import PostNormBlock, RMSNorm


@dataclass(frozen=True)
class FusionOptions:
    """What can be chosen about the fusion; the defaults are the released code's but for the scale.

    That there is an iterative fusion by improved dynamic routing is published; which of these
    variants the publication settled on is not known.
    """

    enabled: bool = True
    """False is the ablation without this engine (our definition): see `off_mode`."""
    off_mode: Literal["mean", "text"] = "mean"
    """Without the engine: the `mean` of both features (our reconstruction), or the mined `text`
    alone (from released code)."""
    iterations: int = 3
    """Passes r, 0 to 7; 3 is from released code, the published optimum is not known. 0 and 1 leave
    weights of 1/2: adaptive ones begin at 2."""
    variant: Literal["update", "update_fixedlogit", "update_ffn", "plain"] = "update"
    """`update`: features grow by (1 + c) in every pass (from released code, the one called there);
    `update_fixedlogit`: the same, but capsule and agreement use the original features (released
    code); `update_ffn`: features pass a small network (released code); `plain`: features stay
    (published figure and older released code)."""
    agreement_scale: Literal["inv_sqrt_d", "one"] = "inv_sqrt_d"
    """Factor of the agreement: 1 / sqrt(D), our reconstruction, or `one`, from released code, with
    which the weights of width 768 are all 0 or 1 by the third pass."""
    transform: Literal["identity", "linear"] = "identity"
    """Map of each stream before the routing: none (from released code) or `linear` (our reading of
    a box in the published figure)."""
    readout: Literal["decoder", "weighted_sum"] = "decoder"
    """`decoder`: an attention block from the routed text to the routed image (published figure and
    released code); `weighted_sum`: c_t TF + c_v VF (our reconstruction, no weights)."""
    detach_logits: bool = False
    """Let no gradient flow through the agreement (our reconstruction); released code lets it."""

    def __post_init__(self) -> None:
        if not 0 <= self.iterations <= 7:
            raise ValueError(f"iterations: expected 0 to 7, got {self.iterations}")


def squash(u: Tensor, eps: float = 1e-8) -> Tensor:
    """Shrink vectors (..., D) to a length below 1, keeping their direction; 0 stays 0.

    Source: Sabour et al. 2017, eq. 1; eps keeps the gradient finite at 0.
    """
    square = u.square().sum(dim=-1, keepdim=True)
    return square / (1 + square) * u / torch.sqrt(square + eps)


class RoutingPass(NamedTuple):
    """State after one pass."""

    weights: Tensor
    """c, shape (B, L, 2): share of text and of image; they add up to 1."""
    text_logit: Tensor
    """b_t, shape (B, L)."""
    visual_logit: Tensor
    """b_v, shape (B, L)."""
    capsule: Tensor
    """a, shape (B, L, D)."""
    text: Tensor
    """x, shape (B, L, D)."""
    visual: Tensor
    """y, shape (B, L, D)."""


@dataclass
class Fused:
    """What the engine returns."""

    states: Tensor
    """Z, shape (B, L, D)."""
    weights: Tensor | None
    """c of the last pass, shape (B, L, 2); 1/2 without passes, None without routing."""
    passes: list[RoutingPass]


class CapsuleUpdate(nn.Module):
    """F of `update_ffn`: D -> 2/3 D -> RMSNorm -> D. From released code (768 -> 512 -> 768)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = max(1, 2 * dim // 3)
        self.layers = nn.Sequential(nn.Linear(dim, inner), RMSNorm(inner), nn.Linear(inner, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature, shaped as the old one."""
        return self.layers(x)


class Router(nn.Module):
    """Dynamic routing between a text and a visual feature of each token.

    With `update` and `plain` the greater of the two norms wins, in every pass: never normalise the
    streams before this. The first pass has uniform weights, whatever the features.

    Args:
        dim: D.
        options: iterations, variant, agreement_scale and detach_logits are used.
    """

    def __init__(self, dim: int, options: FusionOptions) -> None:
        super().__init__()
        self.options = options
        self.scale = dim**-0.5 if options.agreement_scale == "inv_sqrt_d" else 1.0
        updates = options.variant == "update_ffn"
        self.update_text = CapsuleUpdate(dim) if updates else None
        self.update_visual = CapsuleUpdate(dim) if updates else None

    def forward(self, text: Tensor, visual: Tensor) -> list[RoutingPass]:
        """Route TF and VF, both (B, L, D); return one state a pass (float32 or better)."""
        # Half precision would lose the agreement, a sum of D products that grows each pass.
        with torch.autocast(text.device.type, enabled=False):
            dtype = torch.promote_types(text.dtype, torch.float32)
            text, visual = text.to(dtype), visual.to(dtype)
            x, y = text, visual
            logits = text.new_zeros(*text.shape[:2], 2)
            passes = []
            for _ in range(self.options.iterations):
                state = self._pass(text, visual, x, y, logits)
                passes.append(state)
                logits = torch.stack([state.text_logit, state.visual_logit], dim=-1)
                x, y = state.text, state.visual
        return passes

    def _pass(
        self, text: Tensor, visual: Tensor, x: Tensor, y: Tensor, logits: Tensor
    ) -> RoutingPass:
        """Do one pass from the features x, y and the logits (B, L, 2) of the one before."""
        variant, weights = self.options.variant, logits.softmax(dim=-1)
        c_text, c_visual = weights.unsqueeze(2).unbind(-1)  # shape: (B, L, 1)
        if variant == "update_ffn":
            x = self.update_text(x) + c_text * x
            y = self.update_visual(y) + c_visual * y
        elif variant != "plain":
            x, y = (1 + c_text) * x, (1 + c_visual) * y
        if variant in ("update", "update_ffn"):
            capsule = squash(x + y)
        else:
            capsule = squash(c_text * text + c_visual * visual)
        # What each stream is compared with: the updated features only in `update`.
        pair = (x, y) if variant == "update" else (text, visual)
        agreement = torch.stack([(capsule * one).sum(dim=-1) for one in pair], dim=-1)
        if self.options.detach_logits:
            agreement = agreement.detach()
        logits = logits + self.scale * agreement
        return RoutingPass(weights, *logits.unbind(-1), capsule, x, y)


class FusionEngine(nn.Module):
    """Router and readout: from the mined text and visual features to one vector a token.

    Args:
        dim: D.
        heads: of the decoder.
        options: see there; `enabled` and `off_mode` are for the caller.
        dropout: in the decoder.
    """

    def __init__(
        self, dim: int, heads: int, options: FusionOptions, *, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.options = options
        linear = options.transform == "linear"
        self.text_map = nn.Linear(dim, dim, bias=False) if linear else nn.Identity()
        self.visual_map = nn.Linear(dim, dim, bias=False) if linear else nn.Identity()
        self.router = Router(dim, options)
        decodes = options.readout == "decoder"
        self.decoder = PostNormBlock(dim, heads, dropout) if decodes else None

    def forward(self, text: Tensor, visual: Tensor, mask: Tensor) -> Fused:
        """Fuse TF and VF.

        Args:
            text: TF, shape (B, L, D).
            visual: VF, shape (B, L, D), one visual vector a text token.
            mask: shape (B, L), bool, of the text tokens.
        """
        text, visual = self.text_map(text), self.visual_map(visual)
        passes = self.router(text, visual)
        if passes:
            weights, x, y = passes[-1].weights, passes[-1].text, passes[-1].visual
        else:
            dtype = torch.promote_types(text.dtype, torch.float32)
            weights = text.new_full((*text.shape[:2], 2), 0.5, dtype=dtype)
            x, y = text, visual
        if self.decoder is None or self.options.variant == "plain":
            c_text, c_visual = weights.unsqueeze(2).unbind(-1)
            x, y = c_text * text, c_visual * visual
        if self.decoder is None:
            return Fused(x + y, weights, passes)
        queries = text + x if self.options.variant == "update" else x
        return Fused(self.decoder(queries, y, mask)[0], weights, passes)


class RoutingMeter:
    """Mean and spread of the text's share over real tokens, to see whether routing is alive."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, weights: Tensor, mask: Tensor) -> None:
        """Count the shares (B, L, 2) of the tokens that the mask (B, L) shows."""
        share = weights[..., 0].detach().double().masked_fill(~mask, 0.0)
        sums = torch.stack([mask.sum().double(), share.sum(), share.square().sum()])
        self._sums = sums if self._sums is None else self._sums + sums

    def pop(self) -> tuple[float, float] | None:
        """Return (mean, standard deviation) and start anew; None when nothing was counted."""
        if self._sums is None:
            return None
        count, total, squares = self._sums.tolist()
        self._sums = None
        mean = total / max(count, 1.0)
        return mean, max(squares / max(count, 1.0) - mean**2, 0.0) ** 0.5
