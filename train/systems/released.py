"""What a system's folder says of the checkpoints that its authors' code saves.

A system that has such checkpoints has a module `released_checkpoint.py` with a `CONVERTER`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from train.systems.base import TaggingModel

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Released:
    """What the authors' code saves of a trained model."""

    state: State
    """state_dict, names as they have them."""
    tables: dict[str, list[str]] = field(default_factory=dict)
    """Names of rows, in their order: `words` and `chars` of ACN, `states` of ITA's CRF."""
    options: dict[str, Any] | None = None
    """What it says of its options; None: nothing, so those of the released code."""


@dataclass(frozen=True)
class Converter:
    """The two directions of one system; the model is there for its options and shapes."""

    to_ours: Callable[[Released, TaggingModel], State]
    to_theirs: Callable[[TaggingModel], Released]
    tables: tuple[str, ...] = ()
    """Tables that come as files of their own."""
    told: Callable[[Released], dict[str, Any]] = lambda found: {}
    """The options that tensors and tables tell, where the released code has a switch for them."""
