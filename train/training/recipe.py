"""The recipe: how a system is trained; typos get a near match."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from extract.core.errors import ConfigError, near_match

GROUP_NAMES = ("encoder", "vision", "fusion", "head", "crf")
"""Parameter groups in use; a system may add its own."""


@dataclass(frozen=True)
class Recipe:
    """How a system is trained; decides the weights, so all of it enters the resume hash."""

    epochs: int = 10
    """Passes over the training split."""
    batch_size: int = 16
    """Samples in one forward pass of one process."""
    eval_batch_size: int = 32
    """Samples in one forward pass without gradients."""
    accumulation: int = 1
    """Forward passes in one update; the last group of an epoch may be smaller."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: dict[str, float] = field(default_factory=lambda: {"default": 1e-3})
    """Peak rate by parameter group (encoder, vision, fusion, head, crf); `default`: the others."""
    eps: float = 1e-8
    """Adam's epsilon."""
    weight_decay: float | dict[str, float] = 0.0
    """Of all groups, or by parameter group with `default` for the others."""
    decay_vectors: bool = False
    """Also decay biases, normalisation weights and other vectors, which is not usual."""
    frozen: tuple[str, ...] = ()
    """Patterns (`*`, `?`) of parameter names that stay as they were loaded; they cost no gradient
    and no state, e.g. `*.word_embeddings.weight`."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """After the warm-up: down to 0 at the last update, in a line or half a cosine, or constant."""
    warmup: float = 0.0
    """Fraction of all updates in which the rate rises linearly from 0."""
    clip: float = 0.0
    """Greatest global gradient norm; 0 switches clipping off."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, after each update; it is what is
    validated and kept. 0 switches it off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 is autocast, in training and in evaluation; weights stay float32. `auto` is bf16 where
    the device is faster in it, and becomes a value in the run spec."""
    length_buckets: bool = True
    """Batches of samples of similar length (less padding), in shuffled order."""
    selection: Literal["best_valid", "last"] = "best_valid"
    """Which epoch's weights are kept."""
    selection_view: str = "mean"
    """The view whose valid F1 selects, or `mean` over all views."""
    patience: int = 0
    """Stop after so many epochs without a better valid F1; 0 never stops early."""
    gold: Literal["original", "repaired"] = "original"
    """Which tags train and select: the corpus's, or those after its label corrections."""
    ties: Literal["first", "last"] = "first"
    """Which of two epochs with equal valid F1 is kept."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("epochs", "batch_size", "eval_batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("clip", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        decays = self.weight_decay
        for decay in decays.values() if isinstance(decays, dict) else [decays]:
            if decay < 0:
                raise ValueError(f"weight_decay must not be negative, got {decay}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay of at least 0 and below 1, got {self.ema}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a fraction of all updates, got {self.warmup}")
        if self.eps <= 0:
            raise ValueError(f"eps must be positive, got {self.eps}")
        for name, rate in self.lr.items():
            if rate < 0:
                raise ValueError(f"lr.{name} must not be negative, got {rate}")


def rate_of(group: str, lr: dict[str, float], groups: list[str]) -> float:
    """Return the learning rate of one parameter group.

    Args:
        group: name of the group.
        lr: the recipe's rates.
        groups: all groups of the system.

    Raises:
        ConfigError: the recipe names an unknown group, or leaves this one without a rate.
    """
    _refuse_unknown_groups(lr, groups, "lr")
    if group not in lr and "default" not in lr:
        raise ConfigError(
            f"recipe.lr: no rate for the group '{group}'. Add '{group}' or 'default'."
        )
    return lr.get(group, lr.get("default", 0.0))


def decay_of(group: str, decay: float | dict[str, float], groups: list[str]) -> float:
    """Return the weight decay of one parameter group; 0 where a mapping does not name it.

    Raises:
        ConfigError: the recipe names an unknown group.
    """
    if not isinstance(decay, dict):
        return decay
    _refuse_unknown_groups(decay, groups, "weight_decay")
    return decay.get(group, decay.get("default", 0.0))


def _refuse_unknown_groups(named: Iterable[str], groups: list[str], key: str) -> None:
    known = dict.fromkeys(["default", *groups, *GROUP_NAMES])
    for name in named:
        if name not in known:
            raise ConfigError(
                f"recipe.{key}: no parameter group '{name}'; groups: {', '.join(groups)}, default."
                f"{near_match(name, known)}"
            )
