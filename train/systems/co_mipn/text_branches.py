"""Prompted text encoders, four of them, and the gate that mixes what they say of each piece."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.systems.co_mipn.prompt_attention import BRANCHES, LayerPrompt, PromptedEncoder
from train.systems.co_mipn.prompt_towers import ImagePrompts

UNGATED, UNGATED_WEIGHT = "query_prefix", 0.005
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
    """One a branch, shape (B, T, H)."""
    gate: Tensor
    """shape: (B, T, 3), shares of the first three branches, or of those there are."""
    mixture: Tensor
    """shape: (B, T, H)"""


def prompts_by_branch(images: ImagePrompts) -> dict[str, BranchPrompts]:
    """Return what each branch gets: CLIP's levels, or DINO's patches gated."""
    gated = BranchPrompts(images.gated, images.gated_present)
    return {
        "memory": BranchPrompts(images.memory, images.memory_present),
        "query": gated,
        "prefix": BranchPrompts(images.level, images.level_present),
        "query_prefix": gated,
    }


class TextBranches(nn.Module):
    """Copies of a BERT that meet the image in four ways, mixed for each piece.

    Args:
        model: bare BERT, RoBERTa or XLM-R of transformers; each branch starts from a copy.
        names: of `BRANCHES`, those to have; at least one that is gated.
        squash: put the gate's scores through a sigmoid before the softmax, which keeps every
            share between 0.155 and 0.577.
        keep_unused: keep projections that a branch never uses, frozen; else delete them.

    Raises:
        ConfigError: a network of another build.

    Source: Co-MIPN's interactive branches and their gate.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        squash: bool,
        keep_unused: bool,
        names: Sequence[str] = tuple(BRANCHES),
    ) -> None:
        super().__init__()
        self.squash = squash
        self.names = [name for name in BRANCHES if name in names]
        self.encoders = nn.ModuleList(
            PromptedEncoder(copy.deepcopy(model), BRANCHES[name], keep_unused=keep_unused)
            for name in self.names
        )
        self.gate = nn.Linear(model.config.hidden_size, 1)

    def forward(
        self, input_ids: Tensor, prompts: Mapping[str, BranchPrompts], *, text_mask: Tensor | None
    ) -> BranchStates:
        """Read the text once a branch.

        Args:
            input_ids: shape (B, T), int64.
            prompts: branch -> what it gets.
            text_mask: shape (B, T), bool, pieces that may be looked at; None allows all.
        """
        states = [
            encoder(
                input_ids, prompts[name].layers, present=prompts[name].present, text_mask=text_mask
            )
            for name, encoder in zip(self.names, self.encoders, strict=True)
        ]
        # A softmax of squashed scores wants more than bfloat16.
        with torch.autocast(input_ids.device.type, enabled=False):
            gate, mixture = self.mix([state.to(self.gate.weight.dtype) for state in states])
        return BranchStates(states, gate, mixture)

    def mix(self, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return shares and mixture of the branches.

        Args:
            states: one a branch, shape (B, T, H).

        Returns:
            Shapes (B, T, 3) and (B, T, H); with the last branch the shares sum to 1.005.
        """
        named = dict(zip(self.names, states, strict=True))
        ungated = named.pop(UNGATED, None)
        gated = torch.stack(list(named.values()), dim=2)  # shape: (B, T, 3, H)
        scores = self.gate(gated).squeeze(3)
        shares = (scores.sigmoid() if self.squash else scores).softmax(dim=2)
        mixture = (shares.unsqueeze(3) * gated).sum(dim=2)
        return shares, mixture if ungated is None else mixture + UNGATED_WEIGHT * ungated
