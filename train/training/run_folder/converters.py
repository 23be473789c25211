"""Which systems have checkpoints of their authors' code, and the two directions of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from extract.core.errors import ConfigError, DataError, near_match
from train.systems.acn import released_checkpoint
from train.systems.base import TaggingModel
from train.systems.co_mipn import released_checkpoint as co_mipn
from train.systems.ita import released_checkpoint as ita
from train.systems.vec_mner import released_checkpoint as vec_mner

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


def _acn_to_ours(found: Released, model: TaggingModel) -> State:
    return released_checkpoint.from_upstream(
        found.state, drop_pad_unk=not model.options.upstream_tags
    )


def _acn_to_theirs(model: TaggingModel) -> Released:
    if not model.options.upstream_tags:
        raise DataError(
            "a model without upstream_tags has no counterpart upstream, whose CRF has the tags "
            "[pad] and [unk]. Train with upstream_tags: true."
        )
    tables = {name: model.vocabulary[name] for name in ("words", "chars")}
    return Released(released_checkpoint.to_upstream(model.state_dict()), tables)


def _ita_to_ours(found: Released, model: TaggingModel) -> State:
    states = model.codec.states
    return ita.from_upstream(found.state, found.tables["states"], model.state_dict(), states)


def _ita_to_theirs(model: TaggingModel) -> Released:
    states = model.codec.states
    tables = {"states": ita.upstream_dictionary(states)}
    return Released(ita.to_upstream(model.state_dict(), states), tables)


CONVERTERS = {
    "acn": Converter(_acn_to_ours, _acn_to_theirs, ("words", "chars")),
    "co_mipn": Converter(
        lambda found, model: co_mipn.from_upstream(found.state, model.options),
        lambda model: Released(co_mipn.to_upstream(model.state_dict(), model.options)),
        told=lambda found: co_mipn.told_options(found.state),
    ),
    "ita": Converter(
        _ita_to_ours,
        _ita_to_theirs,
        ("states",),
        told=lambda found: ita.told_options(found.tables["states"]),
    ),
    "vec_mner": Converter(
        lambda found, model: vec_mner.from_upstream(found.state, model.state_dict()),
        lambda model: Released(vec_mner.to_upstream(model.state_dict())),
    ),
}


def converter_of(system: str) -> Converter:
    """Return the converter of a system.

    Raises:
        ConfigError: there is none.
    """
    if system not in CONVERTERS:
        raise ConfigError(
            f"no converter for the system '{system}'; there are some for: "
            f"{', '.join(CONVERTERS)}.{near_match(system, CONVERTERS)}"
        )
    return CONVERTERS[system]
