"""Parameter groups, weight decay and the schedule."""

import pytest
import torch
from torch import nn

from tests.unit.train.dummy_system import Model, Options
from train.config import Recipe
from train.optim import build_optimizer, current_rates, rate_factor, set_rates


def model() -> Model:
    return Model(Options(), {"entity_types": ["PER"], "words": ["a"]})


def test_groups_have_their_rates_and_vectors_do_not_decay() -> None:
    recipe = Recipe(lr={"encoder": 1e-5, "default": 1e-2}, weight_decay=0.1, eps=1e-6)
    tagger = model()
    optimizer = build_optimizer(tagger, recipe)
    assert isinstance(optimizer, torch.optim.AdamW)
    found = {
        id(parameter): (group["name"], group["lr"], group["weight_decay"], group["eps"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found[id(tagger.table.weight)] == ("encoder", 1e-5, 0.1, 1e-6)
    assert found[id(tagger.linear.weight)] == ("head", 1e-2, 0.1, 1e-6)
    assert found[id(tagger.linear.bias)] == ("head", 1e-2, 0.0, 1e-6)
    assert found[id(tagger.norm.weight)] == ("head", 1e-2, 0.0, 1e-6)
    assert len(found) == len(list(tagger.parameters()))
    set_rates(optimizer, 0.5)
    assert current_rates(optimizer) == {"encoder": 5e-6, "head": 5e-3}


def test_frozen_parameters_are_left_out() -> None:
    tagger = model()
    tagger.table.weight.requires_grad_(False)
    names = {group["name"] for group in build_optimizer(tagger, Recipe()).param_groups}
    assert names == {"head"}


def test_a_parameter_outside_or_in_two_groups_is_a_bug() -> None:
    tagger = model()
    tagger.extra = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="extra is in no group"):
        build_optimizer(tagger, Recipe())
    tagger = model()
    tagger.parameter_groups = lambda: {
        "head": list(tagger.parameters()),
        "crf": [tagger.linear.bias],
    }
    with pytest.raises(ValueError, match="groups head and crf"):
        build_optimizer(tagger, Recipe())


def test_linear_schedule_with_and_without_warm_up() -> None:
    plain = [rate_factor(update, 4, Recipe()) for update in range(4)]
    assert plain == [1.0, 0.75, 0.5, 0.25]
    warm = [rate_factor(update, 10, Recipe(warmup=0.2)) for update in range(10)]
    assert warm[:3] == [0.0, 0.5, 1.0]
    assert warm[2:] == sorted(warm[2:], reverse=True) and warm[-1] == pytest.approx(1 / 8)
    constant = [rate_factor(update, 4, Recipe(schedule="constant")) for update in range(4)]
    assert constant == [1.0] * 4
    assert rate_factor(0, 1, Recipe(warmup=0.1)) == 1.0
