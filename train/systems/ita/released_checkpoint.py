"""Checkpoints of ITA's released code, a fork of flair: to ours and back.

Its `best-model.pt` is a pickle of live objects. Here it is read without running any of it: tensors
and plain containers are rebuilt, everything else becomes an inert stand-in.

START and STOP, inside one K x K matrix `A[to, from]` there, are vectors of their own here:
`start[y] = A[y, START]`, `end[y] = A[STOP, y]`, `transitions[p, q] = A[q, p]`. Nothing is guessed:
a missing or unknown name is an error. Lost are the pooler, the linear rows of START and STOP and
the score of an empty sentence, none of which reaches an output.

Source: Wang et al. 2022, ITA; the released code, github.com/Alibaba-NLP/KB-NER.
"""

import pickle
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from extract.core.errors import DataError, MissingFileError, near_match
from extract.networks.checkpoints.torch_files import (
    BROKEN,
    check_archive,
    first_line,
    is_cut_off,
    raise_unless_broken,
)
from extract.networks.checkpoints.whole_files import check_whole, damaged
from train.systems.base import TaggingModel
from train.systems.ita.options import EXTRA_STATES, Options
from train.systems.released import Converter, Released, State

START, STOP = "<START>", "<STOP>"
ENCODER = "embeddings.list_embedding_0.model."
FORBIDDEN = -1e12
"""What released code writes at moves into START and out of STOP."""

_LINEAR = ("linear.weight", "linear.bias")
_TRANSITIONS = "transitions"
# What a checkpoint must say of itself, where it says it: other networks have other tensors.
_FLAGS = {
    "use_crf": True,
    "use_rnn": False,
    "use_cnn": False,
    "use_mfvi": False,
    "relearn_embeddings": False,
    "map_embeddings": False,
}
# The only functions and classes that reading a checkpoint may call.
_SAFE = {
    ("_codecs", "encode"),  # bytes, in the older protocol
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}


class Inert:
    """Stand-in for an object of the checkpoint whose class is not wanted; it only keeps state."""

    dump_patches = False  # asked for by torch where the class was a network

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __call__(self, *args: Any, **options: Any) -> "Inert":
        return Inert()

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Drop an element of a list."""

    def extend(self, values: Iterable[Any]) -> None:
        """Drop elements of a list."""

    def add(self, value: Any) -> None:
        """Drop an element of a set."""


class _InertUnpickler(pickle._Unpickler):
    """In Python: the one in C takes gigabytes where a short file names a high place of its memo."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in _SAFE else Inert


# What torch.load wants of the module that unpickles.
_INERT_PICKLE = SimpleNamespace(
    __name__="inert_pickle",
    Unpickler=_InertUnpickler,
    load=lambda file, **options: _InertUnpickler(file, **options).load(),
)


@dataclass(frozen=True)
class Checkpoint:
    """What is of use in a `best-model.pt`."""

    state: dict[str, Tensor]
    """state_dict, names as released code has them."""
    states: list[str]
    """The tag dictionary: state of the CRF at each row, START and STOP included."""
    options: Options
    """Those it was trained with, as far as it tells; `context` is the preset's."""


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of the released code, of this or the older file format of torch.

    Raises:
        DataError: no such checkpoint, or one of another network.
        MissingFileError: no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such checkpoint.")
    check_whole(path)
    check_archive(path)
    try:
        with warnings.catch_warnings():
            # The older format compares the source of pickled networks with that of the stand-in.
            warnings.simplefilter("ignore", torch.serialization.SourceChangeWarning)
            content = torch.load(
                path, map_location="cpu", pickle_module=_INERT_PICKLE, weights_only=False
            )
    except BROKEN as error:
        raise_unless_broken(error, path)
        if is_cut_off(error):
            raise damaged(path, first_line(error)) from error
        raise DataError(f"{path}: not a checkpoint of torch ({first_line(error)})") from error
    wanted = ("state_dict", "tag_dictionary")
    if not isinstance(content, dict) or any(name not in content for name in wanted):
        raise DataError(f"{path}: expected a dict with {' and '.join(wanted)}, as flair writes it")
    for name, expected in _FLAGS.items():
        if bool(content.get(name, expected)) != expected:
            raise DataError(f"{path}: {name} is {content[name]}; ITA's checkpoints have {expected}")
    states = _tag_names(content["tag_dictionary"], path)
    return Checkpoint(dict(content["state_dict"]), states, _options(content, states))


def _tag_names(dictionary: Any, path: Path) -> list[str]:
    items = getattr(dictionary, "idx2item", None)
    if not isinstance(items, list) or not all(isinstance(item, bytes | str) for item in items):
        raise DataError(f"{path}: tag_dictionary has no idx2item with names")
    return [item.decode("utf-8") if isinstance(item, bytes) else item for item in items]


def _options(content: Mapping[str, Any], states: Sequence[str]) -> Options:
    """Return the options of a checkpoint; temperature and dropout are in its config alone."""
    config = getattr(content.get("config"), "params", content.get("config"))
    tagger = config
    for key in ("model", "FastSequenceTagger"):
        tagger = tagger.get(key) if isinstance(tagger, Mapping) else None
    tagger = tagger if isinstance(tagger, Mapping) else {}
    return Options.upstream(
        cva=bool(content.get("multi_view_training", False)),
        cva_temperature=float(tagger.get("temperature", 1.0)),
        dropout=float(tagger.get("dropout", 0.0)),
        word_dropout=float(content.get("use_word_dropout", 0.1)),
        **told_options(states),
    )


def told_options(states: Sequence[str]) -> dict[str, Any]:
    """Return the options that the tag dictionary tells: which of the extra states it has."""
    return {"extra_states": tuple(name for name in EXTRA_STATES if name in states)}


def from_released(
    state: Mapping[str, Tensor],
    dictionary: Sequence[str],
    names: Mapping[str, Tensor],
    states: Sequence[str],
) -> dict[str, Tensor]:
    """Return the weights of our model.

    Args:
        state: the released state_dict.
        dictionary: its tag dictionary, as `Checkpoint.states` has it.
        names: state_dict of the model that is to take them (its names and shapes).
        states: `codec.states` of that model. Without the extra states, decoding and likelihood
            equal the released ones with those states forbidden.

    Raises:
        DataError: a tensor is missing, unknown or of another shape, the tags do not fit, or the
            moves into START and out of STOP are not forbidden.

    Source: the released code's state dict.
    """
    rows, start, stop = _rows(dictionary, states)
    _check_matrix(state, dictionary, start, stop)
    matrix = state[_TRANSITIONS]
    ours = {
        "head.linear.weight": state["linear.weight"][rows],
        "head.linear.bias": state["linear.bias"][rows],
        "head.crf.start_transitions": matrix[rows, start],
        "head.crf.end_transitions": matrix[stop, rows],
        "head.crf.transitions": matrix[rows][:, rows].T.contiguous(),
    }
    for name, tensor in state.items():
        inner = name.removeprefix(ENCODER)
        if name in (*_LINEAR, _TRANSITIONS) or inner.startswith("pooler."):
            continue
        if inner == name:
            raise DataError(f"ITA checkpoint: unknown tensor {name}.{near_match(name, _LINEAR)}")
        if not inner.endswith("position_ids"):  # counting numbers, which old versions store
            ours[f"encoder.model.{inner}"] = tensor.clone()
    _check(ours, names)
    return ours


def to_released(
    state: Mapping[str, Tensor], states: Sequence[str], dictionary: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Return a state_dict of the released code, without the pooler, from the weights of our model.

    Args:
        state: weights of our model.
        states: its `codec.states`.
        dictionary: wanted tag dictionary (default: that of `released_dictionary`). An extra state
            that the model lacks is forbidden there, which is the same function.

    Raises:
        DataError: an unknown tensor, or a dictionary without one of the states.
    """
    dictionary = released_dictionary(states) if dictionary is None else dictionary
    rows, start, stop = _rows(dictionary, states)
    ours = {name.removeprefix("head."): tensor for name, tensor in state.items()}
    linear = ours.pop("linear.weight"), ours.pop("linear.bias")
    starts, ends = ours.pop("crf.start_transitions"), ours.pop("crf.end_transitions")
    moves, n_states = ours.pop("crf.transitions"), len(dictionary)
    upstream: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        inner = name.removeprefix("encoder.model.")
        if inner == name:
            raise DataError(f"our ITA model: unknown tensor {name}")
        upstream[f"{ENCODER}{inner}"] = tensor.clone()
    for name, tensor in zip(_LINEAR, linear, strict=True):
        upstream[name] = tensor.new_zeros((n_states, *tensor.shape[1:]))
        upstream[name][rows] = tensor
    matrix = moves.new_full((n_states, n_states), FORBIDDEN)
    matrix[torch.tensor(rows)[:, None], torch.tensor(rows)[None]] = moves.T
    matrix[rows, start], matrix[stop, rows] = starts, ends
    return {**upstream, _TRANSITIONS: matrix}


def released_dictionary(states: Sequence[str]) -> list[str]:
    """Return a tag dictionary in the released code's manner: `<unk>`, tags, `S-X`, START, STOP."""
    unknown, context = EXTRA_STATES
    tags = [name for name in states if name not in EXTRA_STATES]
    return [unknown, *tags, context, START, STOP]


def _rows(dictionary: Sequence[str], states: Sequence[str]) -> tuple[list[int], int, int]:
    """Return where in the dictionary our states are, then START and STOP."""
    place = {name: row for row, name in enumerate(dictionary)}
    missing = [name for name in (*states, START, STOP) if name not in place]
    if missing:
        extra = [name for name in EXTRA_STATES if name in place]
        advice = "It holds the tags that the corpora of the checkpoint have: check --entity-types."
        if set(missing) <= set(EXTRA_STATES):
            advice = f"Set the option extra_states to {extra}, those that it has."
        raise DataError(
            f"ITA tag dictionary: no {', '.join(missing)} in {', '.join(dictionary)}. {advice}"
        )
    more = set(place) - {*states, *EXTRA_STATES, START, STOP}
    if more or len(place) != len(dictionary):
        raise DataError(f"ITA tag dictionary: {', '.join(sorted(more)) or 'a tag twice'}: unknown")
    return [place[name] for name in states], place[START], place[STOP]


def _check_matrix(
    state: Mapping[str, Tensor], dictionary: Sequence[str], start: int, stop: int
) -> None:
    missing = [name for name in (*_LINEAR, _TRANSITIONS) if name not in state]
    if missing:
        raise DataError(f"ITA checkpoint: no tensor {', '.join(missing)}")
    n_states = len(dictionary)
    for name in (*_LINEAR, _TRANSITIONS):
        if state[name].shape[0] != n_states:
            raise DataError(
                f"ITA checkpoint: {name} has shape {tuple(state[name].shape)}, but its tag "
                f"dictionary has {n_states} entries"
            )
    matrix = state[_TRANSITIONS]
    if max(matrix[start].max(), matrix[:, stop].max()) > FORBIDDEN / 10:
        raise DataError("ITA checkpoint: moves into <START> or out of <STOP> are not forbidden")


def _check(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing or unknown:
        raise DataError(
            f"ITA checkpoint: missing {', '.join(missing[:5]) or 'none'}; the model has no "
            f"{', '.join(unknown[:5]) or 'other'}. Is it of the same encoder?"
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise DataError(
                f"ITA checkpoint: {name} has shape {tuple(tensor.shape)}, the model's has "
                f"{tuple(expected[name].shape)}"
            )


def _to_ours(found: Released, model: TaggingModel) -> State:
    states = model.codec.states
    return from_released(found.state, found.tables["states"], model.state_dict(), states)


def _to_theirs(model: TaggingModel) -> Released:
    states = model.codec.states
    tables = {"states": released_dictionary(states)}
    return Released(to_released(model.state_dict(), states), tables)


CONVERTER = Converter(
    _to_ours,
    _to_theirs,
    ("states",),
    told=lambda found: told_options(found.tables["states"]),
)
