"""Four prompted text encoders and the gate that mixes what they say of each piece."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.layers.prompt_attention import BRANCHES, LayerPrompt, PromptedEncoder

FOURTH_WEIGHT = 0.005
"""The last branch stands outside the gate."""


@dataclass(frozen=True)
class BranchPrompts:
    """What one branch gets of the images."""

    layers: Sequence[LayerPrompt]
    present: Tensor | None
    """shape: (B, A, R), bool, prompt positions that come from images; None: all."""


@dataclass
class BranchStates:
    """What the branches say, and the mixture."""

    states: list[Tensor]
    """Four of shape (B, T, H)."""
    gate: Tensor
    """shape: (B, T, 3), shares of the first three branches."""
    mixture: Tensor
    """shape: (B, T, H)"""


class TextBranches(nn.Module):
    """Four copies of a BERT that meet the image in four ways, mixed for each piece.

    Args:
        model: bare BERT, RoBERTa or XLM-R of transformers; each branch starts from a copy.
        squash: put the gate's scores through a sigmoid before the softmax, which keeps every
            share between 0.155 and 0.577.
        keep_unused: keep projections that a branch never uses, frozen; else delete them.

    Raises:
        ConfigError: a network of another build.

    Source: Co-MIPN's interactive branches and their gate.
    """

    def __init__(self, model: nn.Module, *, squash: bool, keep_unused: bool) -> None:
        super().__init__()
        self.squash = squash
        self.encoders = nn.ModuleList(
            PromptedEncoder(copy.deepcopy(model), kind, keep_unused=keep_unused)
            for kind in BRANCHES
        )
        self.gate = nn.Linear(model.config.hidden_size, 1)

    def forward(
        self, input_ids: Tensor, prompts: Sequence[BranchPrompts], *, text_mask: Tensor | None
    ) -> BranchStates:
        """Read the text four times.

        Args:
            input_ids: shape (B, T), int64.
            prompts: one for each branch.
            text_mask: shape (B, T), bool, pieces that may be looked at; None allows all.
        """
        states = [
            encoder(input_ids, given.layers, present=given.present, text_mask=text_mask)
            for encoder, given in zip(self.encoders, prompts, strict=True)
        ]
        # A softmax of squashed scores wants more than bfloat16.
        with torch.autocast(input_ids.device.type, enabled=False):
            gate, mixture = self.mix([state.to(self.gate.weight.dtype) for state in states])
        return BranchStates(states, gate, mixture)

    def mix(self, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return shares and mixture of four branches.

        Args:
            states: four of shape (B, T, H).

        Returns:
            Shapes (B, T, 3) and (B, T, H); with the last branch the shares sum to 1.005.
        """
        gated = torch.stack(list(states[:3]), dim=2)  # shape: (B, T, 3, H)
        scores = self.gate(gated).squeeze(3)
        shares = (scores.sigmoid() if self.squash else scores).softmax(dim=2)
        return shares, (shares.unsqueeze(3) * gated).sum(dim=2) + FOURTH_WEIGHT * states[3]
