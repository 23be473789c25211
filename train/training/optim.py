"""Optimizer, learning rates and their schedule, from a recipe and a model's parameter groups."""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from extract.core.errors import ConfigError
from train.systems.base import TaggingModel
from train.training.recipe import Recipe, decay_of, rate_of


def build_optimizer(model: TaggingModel, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer; its groups carry `name` and `peak_lr`.

    Raises:
        ConfigError: the recipe leaves a group without a rate or names an unknown one.
        ValueError: the model's groups do not hold every trainable parameter exactly once.
    """
    named = {
        name: [parameter for parameter in parameters if parameter.requires_grad]
        for name, parameters in model.parameter_groups().items()
    }
    _check_partition(model, named)
    groups = []
    for name, parameters in named.items():
        rate = rate_of(name, recipe.lr, list(named))
        decay = decay_of(name, recipe.weight_decay, list(named))
        # Weight decay pulls towards 0, which means nothing for biases and normalisation scales.
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        decay_of_vectors = decay if recipe.decay_vectors else 0.0
        for members, share in ((matrices, decay), (vectors, decay_of_vectors)):
            if members:
                settings = {"lr": rate, "peak_lr": rate, "weight_decay": share, "name": name}
                groups.append({"params": members, **settings})
    if not groups:
        raise ConfigError(f"{type(model).__module__}: no trainable parameter under these options.")
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimizer]
    # One fused kernel an update: several times faster than a loop over the parameters.
    return kind(groups, eps=recipe.eps, fused=True)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Take the gradient away from every parameter whose name one of the patterns matches.

    Args:
        model: whose parameters these are.
        patterns: of names, with `*` and `?`, e.g. `*.word_embeddings.weight`.

    Raises:
        ConfigError: a pattern matches no parameter.
    """
    names = dict(model.named_parameters())
    for pattern in patterns:
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            largest = sorted(names, key=lambda name: -names[name].numel())[:3]
            raise ConfigError(
                f"recipe.frozen: '{pattern}' matches no parameter of "
                f"{type(model).__module__}; its largest are {', '.join(largest)}."
            )
        for name in matched:
            names[name].requires_grad_(False)


def _check_partition(model: nn.Module, groups: dict[str, list[nn.Parameter]]) -> None:
    """Check that training can reach every parameter, and none twice."""
    seen: dict[int, str] = {}
    for name, parameters in groups.items():
        for parameter in parameters:
            if id(parameter) in seen:
                raise ValueError(f"a parameter is in the groups {seen[id(parameter)]} and {name}")
            seen[id(parameter)] = name
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in seen:
            raise ValueError(f"parameter {name} is in no group of parameter_groups()")


def rate_factor(update: int, n_updates: int, recipe: Recipe) -> float:
    """Return the share of the peak learning rate in one update.

    Args:
        update: number of updates done before, from 0.
        n_updates: of the whole training.
        recipe: schedule and warm-up.
    """
    n_warm = round(recipe.warmup * n_updates)
    if update < n_warm:
        return update / n_warm
    left = max(0.0, (n_updates - update) / max(1, n_updates - n_warm))
    match recipe.schedule:
        case "constant":
            return 1.0
        case "linear":
            return left
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * left))
    raise ValueError(f"schedule {recipe.schedule!r} has no formula")


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to `factor` times its peak rate; no state, so nothing to resume."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def current_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return group name -> learning rate."""
    return {group["name"]: group["lr"] for group in optimizer.param_groups}


def weight_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Return a copy of a model that follows its weights, or None where `decay` is 0.

    `update_parameters(model)` after an update moves each weight by a share 1 - decay towards the
    model's; the first call copies. Buffers are those of the model.

    Args:
        model: on its device, with the weights that training starts from.
        decay: at least 0 and below 1; of 0.995 the last 200 updates or so count.
    """
    if not decay:
        return None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
