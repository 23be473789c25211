"""Parameter groups, weight decay and the schedule."""

import pytest
import torch
from torch import nn

from extract.core.errors import ConfigError
from tests.builders.train.dummy_system import Model, Options
from train.training.optim import build_optimizer, current_rates, freeze, rate_factor, set_rates
from train.training.recipe import Recipe


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


def test_names_are_frozen_by_pattern() -> None:
    tagger = model()
    freeze(tagger, ["table.*", "*.bias"])
    frozen = {name for name, weight in tagger.named_parameters() if not weight.requires_grad}
    assert frozen == {"table.weight", "norm.bias", "linear.bias"}
    freeze(tagger, ["*"])
    with pytest.raises(ConfigError, match="no trainable parameter"):
        build_optimizer(tagger, Recipe())
    with pytest.raises(ConfigError, match=r"'tabel\.\*' matches no parameter.*table\.weight"):
        freeze(tagger, ["tabel.*"])


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


def test_cosine_schedule_is_that_of_torch() -> None:
    """With a warm-up the half wave begins where the warm-up ends, as in transformers."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    expected = []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    recipe = Recipe(schedule="cosine", warmup=0.2)
    found = [rate_factor(update, 10, recipe) for update in range(10)]
    assert found == pytest.approx([0.0, 0.5, *expected])


def test_decay_by_group_and_of_vectors() -> None:
    tagger = model()
    recipe = Recipe(weight_decay={"encoder": 0.1}, decay_vectors=True)
    groups = build_optimizer(tagger, recipe).param_groups
    assert {(group["name"], group["weight_decay"]) for group in groups} == {
        ("encoder", 0.1),
        ("head", 0.0),
    }
    groups = build_optimizer(tagger, Recipe(weight_decay=0.2, decay_vectors=True)).param_groups
    assert {group["weight_decay"] for group in groups} == {0.2}
    with pytest.raises(ConfigError, match=r"recipe\.weight_decay.*Did you mean 'encoder'"):
        build_optimizer(tagger, Recipe(weight_decay={"encodr": 0.1}))
    with pytest.raises(ValueError, match="must not be negative"):
        Recipe(weight_decay={"encoder": -1.0})
