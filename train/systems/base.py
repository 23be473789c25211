"""What every tagging system offers to the loop: examples in, loss and tags out.

One system = one folder here that offers a frozen dataclass `Options` and a class `Model`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from extract.tables.samples import Sample
from train.data.examples import Example, ModelOutput


class TaggingModel(nn.Module, ABC):
    """Base of all systems.

    Args of every subclass's constructor:
        options: the system's frozen `Options`.
        vocabulary: what `build_vocabulary` returned (JSON-able; travels in the checkpoint).
        weights: role -> checkpoint folder, for each of `roles`.
        pretrained: True loads the weights of the roles, False builds the networks from their
            configs only (a trained checkpoint brings the weights).
    """

    VERSION: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ()
    """Pretrained networks that it can start from: `encoder` (text), `vision`, ..."""
    views: ClassVar[tuple[str, ...]] = ("main",)
    """Ways to decode one batch; the first is the headline."""

    @classmethod
    def roles_for(cls, options: Any) -> tuple[str, ...]:
        """Return those of `roles` that a model of these options has."""
        return cls.roles

    @classmethod
    def trained_views(cls, options: Any) -> tuple[str, ...]:
        """Return those of `views` that training with these options teaches; others only decode."""
        return cls.views

    @classmethod
    @abstractmethod
    def required_features(cls, options: Any) -> dict[str, str]:
        """Return role -> what the store of that role must hold, in words."""

    @classmethod
    def check_files(cls, options: Any) -> None:
        """See by their beginnings that files which options name are what they should be.

        Called when the run spec is written, hours before training reads them.
        """

    @classmethod
    def build_vocabulary(
        cls, options: Any, samples: Sequence[Sample], entity_types: Sequence[str]
    ) -> dict[str, Any]:
        """Return everything the model must remember of the training text (JSON-able)."""
        return {"entity_types": list(entity_types)}

    def fit_statistics(self, examples: Iterable[Example]) -> None:
        """See the training examples once before training (channel means and the like)."""

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return one batch: tensors and plain lists, everything `forward` and `decode` need."""

    @abstractmethod
    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return loss (when the batch has gold tags) and emissions."""

    @abstractmethod
    def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
        """Return BIO tags, one list a sample, one tag for each of its tokens (never fewer)."""

    def marginals(self, batch: dict[str, Any], view: str) -> list[list[float | None]] | None:
        """Return the probability of each tag that `decode` gives, or None: this system has none.

        One list a sample, one number a token; None for a token that was not read. Call it under
        `torch.no_grad()`.
        """
        return None

    @abstractmethod
    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return group name -> parameters; the recipe gives each name its learning rate.

        Names in use: `encoder` (pretrained text), `vision` (image tower or projection), `fusion`
        (where text and image meet), `head`, `crf`.
        """

    def save_assets(self, folder: Path) -> None:
        """Write `folder/<role>/`: what the constructor needs of each role besides tensors."""


def count_parameters(module: nn.Module) -> int:
    """Return the number of scalar parameters, trainable or not."""
    return sum(parameter.numel() for parameter in module.parameters())


def length_mask(lengths: Sequence[int], width: int | None = None) -> Tensor:
    """Return a bool prefix mask. # shape: (B, W)"""
    sizes = torch.as_tensor(list(lengths))
    return torch.arange(int(sizes.max()) if width is None else width)[None, :] < sizes[:, None]
