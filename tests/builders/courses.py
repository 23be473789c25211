"""The course of a training: what reached the dummy system and its optimizer, update by update.

Nothing of the loop is replaced. The system notes its own passes, hooks of its parameters note what
the backward passes left in them, and hooks of torch note what each step of the optimizer was given.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from extract.tables.samples import Sample
from tests.builders.train import dummy_system
from train.data.examples import Example, ModelOutput

Values = dict[str, list[Any]]
"""Parameter name -> its numbers, or those of its gradient, as nested lists."""


@dataclass
class Pass:
    """One batch on its way through the system."""

    samples: list[Sample]
    is_training: bool
    """Whether the system was in training mode."""
    weights: Values
    """What the system computed with."""
    masks: list[Any] = field(default_factory=list)
    """True where dropout let a value through."""

    @property
    def ids(self) -> list[str]:
        """The ids of the samples."""
        return [sample.id for sample in self.samples]

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each sample."""
        return [len(sample.tokens) for sample in self.samples]


@dataclass
class Update:
    """One step of the optimizer."""

    passes: list[Pass]
    """Since the step before."""
    rates: list[tuple[str, float]]
    """Name and learning rate of each group."""
    summed: Values
    """The gradients as the last backward pass left them."""
    used: Values
    """The gradients that the optimizer was given."""
    weights: Values = field(default_factory=dict)
    """After the step."""


@dataclass
class Epoch:
    """The updates of one epoch, then the passes of its validation."""

    updates: list[Update] = field(default_factory=list)
    taggings: list[Pass] = field(default_factory=list)

    @property
    def passes(self) -> list[Pass]:
        """The training passes of all updates."""
        return [one for update in self.updates for one in update.passes]

    @property
    def order(self) -> list[str]:
        """The ids of the training samples in the order in which the system met them."""
        return [sample_id for one in self.passes for sample_id in one.ids]


@dataclass
class Course:
    """What was noted of one training, or of a part of it."""

    epochs: list[Epoch] = field(default_factory=list)
    vocabulary_ids: list[str] = field(default_factory=list)
    """The samples whose words the system learnt by heart."""
    statistics_ids: list[str] = field(default_factory=list)
    """The samples that the system saw before training."""

    @property
    def updates(self) -> list[Update]:
        """The updates of all epochs."""
        return [update for epoch in self.epochs for update in epoch.updates]

    @property
    def taggings(self) -> list[Pass]:
        """The passes of all validations."""
        return [one for epoch in self.epochs for one in epoch.taggings]


def flat(values: Values) -> np.ndarray:
    """Return all numbers in one row, in double precision."""
    return np.concatenate([np.ravel(numbers) for numbers in values.values()])


def recorded(action: Callable[[], object]) -> Course:
    """Return the course of what an action trains or tags with the dummy system."""
    with recording() as course:
        action()
    return course


@contextmanager
def recording() -> Iterator[Course]:
    """Note what happens to the dummy system; an action that is broken off leaves its part."""
    notes = _Notes()
    removable = [
        register_optimizer_step_pre_hook(notes.before_step),
        register_optimizer_step_post_hook(notes.after_step),
    ]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dummy_system, "Model", recorded_model(notes))
            yield notes.course
    finally:
        for hook in removable:
            hook.remove()


class _Notes:
    """The course so far, and what does not belong to an update yet."""

    def __init__(self) -> None:
        self.course = Course()
        self.model: nn.Module | None = None
        self.passes: list[Pass] = []
        self.gradients: Values = {}
        self.current: Pass | None = None

    def watch(self, model: nn.Module) -> None:
        """Note the gradients of a model's parameters, and what its dropout lets through."""
        self.model = model
        for name, parameter in model.named_parameters():
            parameter.register_post_accumulate_grad_hook(self._gradient_hook(name))
        model.dropout.register_forward_hook(self.after_dropout)

    def _gradient_hook(self, name: str) -> Callable[[Tensor], None]:
        def note(parameter: Tensor) -> None:
            self.gradients[name] = parameter.grad.tolist()

        return note

    def __deepcopy__(self, memo: dict) -> "_Notes":
        """Return itself: the average of the weights is noted where the weights are."""
        return self

    def after_dropout(self, _: nn.Module, given: tuple[Tensor], passed: Tensor) -> None:
        """Note the mask of one pass."""
        self.current.masks.append(((passed != 0) | (given[0] == 0)).tolist())

    def training_pass(self, model: nn.Module, samples: Sequence[Sample]) -> None:
        """Begin a pass with gold tags; the first one after a validation begins an epoch."""
        if not self.course.epochs or self.course.epochs[-1].taggings:
            self.course.epochs.append(Epoch())
        self.current = Pass(list(samples), model.training, values_of(model))
        self.passes.append(self.current)

    def tagging_pass(self, model: nn.Module, samples: Sequence[Sample]) -> None:
        """Begin a pass that gives tags."""
        if not self.course.epochs:
            self.course.epochs.append(Epoch())
        self.current = Pass(list(samples), model.training, values_of(model))
        self.course.epochs[-1].taggings.append(self.current)

    def before_step(self, optimizer: Optimizer, *_: object) -> None:
        """Note what the optimizer was given."""
        rates = [(group["name"], group["lr"]) for group in optimizer.param_groups]
        used = {name: weight.grad.tolist() for name, weight in self.model.named_parameters()}
        summed = {name: self.gradients[name] for name in used}
        self.course.epochs[-1].updates.append(Update(self.passes, rates, summed, used))
        self.passes, self.gradients = [], {}

    def after_step(self, *_: object) -> None:
        """Note what the optimizer made of it."""
        self.course.updates[-1].weights = values_of(self.model)


def values_of(model: nn.Module) -> Values:
    """Return the weights of a model."""
    return {name: weight.tolist() for name, weight in model.named_parameters()}


def recorded_model(notes: _Notes) -> type[dummy_system.Model]:
    """Return the dummy system as a class that notes what it meets."""

    class Model(dummy_system.Model):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            notes.watch(self)

        @classmethod
        def build_vocabulary(
            cls, options: Any, samples: Sequence[Sample], entity_types: Sequence[str]
        ) -> dict[str, Any]:
            notes.course.vocabulary_ids = [sample.id for sample in samples]
            return super().build_vocabulary(options, samples, entity_types)

        def fit_statistics(self, examples: Iterator[Example]) -> None:
            seen = list(examples)
            notes.course.statistics_ids = [example.sample.id for example in seen]
            super().fit_statistics(seen)

        def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
            samples = [example.sample for example in examples]
            return {**super().collate(examples), "samples": samples}

        def forward(self, batch: dict[str, Any]) -> ModelOutput:
            notes.training_pass(self, batch["samples"])
            return super().forward(batch)

        def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
            notes.tagging_pass(self, batch["samples"])
            return super().decode(batch, view)

    return Model
