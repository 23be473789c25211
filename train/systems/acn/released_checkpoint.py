"""Checkpoints of ACN's PyTorch re-implementation: its tensor names and layout, to ours and back.

Nothing is dropped or guessed: an unknown or missing name is an error, and tensors without effect
(see `MergedAttention`) are carried over.
"""

from collections.abc import Mapping

from torch import Tensor

from extract.core.errors import DataError, near_match
from train.systems.base import TaggingModel
from train.systems.released import Converter, Released, State

# Its character features are interleaved: filter f of width number j sits at 3 f + j.
_WIDTHS = 3
_CHAR_MLP = "char_cnn.hidden.weight"
_TAG_ROWS = (
    "filtration.output.weight",
    "filtration.output.bias",
    "crf.start_transitions",
    "crf.end_transitions",
    "crf.transitions",
)
_LSTM = [
    f"{kind}_l0{direction}"
    for direction in ("", "_reverse")
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
]

UPSTREAM_NAMES: dict[str, str] = {
    "lstm.char_cnn.char_emb.weight": "char_cnn.table.weight",
    **{
        f"lstm.char_cnn.convs.{number}.0.{kind}": f"char_cnn.convolutions.{number}.{kind}"
        for number in range(_WIDTHS)
        for kind in ("weight", "bias")
    },
    "lstm.char_cnn.linear.0.weight": _CHAR_MLP,
    "lstm.char_cnn.linear.0.bias": "char_cnn.hidden.bias",
    "lstm.char_cnn.linear.3.weight": "char_cnn.output.weight",
    "lstm.char_cnn.linear.3.bias": "char_cnn.output.bias",
    "lstm.word_emb.weight": "word_table.weight",
    **{f"lstm.bi_lstm.{name}": f"lstm.{name}" for name in _LSTM},
    "dim_match.0.weight": "project_image.weight",
    "dim_match.0.bias": "project_image.bias",
    "co_attention.text_linear_1.weight": "visual_attention.query.weight",
    "co_attention.text_linear_1.bias": "visual_attention.query.bias",
    "co_attention.img_linear_1.weight": "visual_attention.key.weight",
    "co_attention.att_linear_1.weight": "visual_attention.score.weight",
    "co_attention.att_linear_1.bias": "visual_attention.score.bias",
    "co_attention.text_linear_2.weight": "textual_attention.key.weight",
    "co_attention.img_linear_2.weight": "textual_attention.query.weight",
    "co_attention.img_linear_2.bias": "textual_attention.query.bias",
    "co_attention.att_linear_2.weight": "textual_attention.score.weight",
    "co_attention.att_linear_2.bias": "textual_attention.score.bias",
    "gmf.text_linear.weight": "fusion.textual.weight",
    "gmf.text_linear.bias": "fusion.textual.bias",
    "gmf.img_linear.weight": "fusion.visual.weight",
    "gmf.img_linear.bias": "fusion.visual.bias",
    "gmf.gate_linear.weight": "fusion.gate.weight",
    "gmf.gate_linear.bias": "fusion.gate.bias",
    "filtration_gate.text_linear.weight": "filtration.text.weight",
    "filtration_gate.multimodal_linear.weight": "filtration.mixture.weight",
    "filtration_gate.multimodal_linear.bias": "filtration.mixture.bias",
    "filtration_gate.gate_linear.weight": "filtration.gate.weight",
    "filtration_gate.gate_linear.bias": "filtration.gate.bias",
    "filtration_gate.resv_linear.weight": "filtration.reserve.weight",
    "filtration_gate.resv_linear.bias": "filtration.reserve.bias",
    "filtration_gate.output_linear.weight": "filtration.output.weight",
    "filtration_gate.output_linear.bias": "filtration.output.bias",
    "crf.start_transitions": "crf.start_transitions",
    "crf.end_transitions": "crf.end_transitions",
    "crf.transitions": "crf.transitions",
}
"""Name there -> our name, in the order of the re-implementation's state_dict."""


def from_released(state: Mapping[str, Tensor], *, drop_pad_unk: bool = False) -> dict[str, Tensor]:
    """Return the weights of our model (`concat` merge, `scalar` filtration).

    Args:
        state: the re-implementation's state_dict.
        drop_pad_unk: delete the CRF tags `[pad]` and `[unk]` (rows 0 and 1), for a model without
            `upstream_tags`. Decoding then equals the re-implementation's with those two tags
            forbidden.

    Raises:
        DataError: a name is missing or unknown.

    Source: the PyTorch re-implementation's state dict.
    """
    _check_names(state, UPSTREAM_NAMES, "a released ACN checkpoint")
    ours = {UPSTREAM_NAMES[name]: tensor.clone() for name, tensor in state.items()}
    columns = ours[_CHAR_MLP]
    ours[_CHAR_MLP] = columns.unflatten(1, (-1, _WIDTHS)).transpose(1, 2).flatten(1)
    if drop_pad_unk:
        for name in _TAG_ROWS:
            ours[name] = ours[name][2:].clone()
        ours["crf.transitions"] = ours["crf.transitions"][:, 2:].clone()
    return ours


def to_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a released state_dict from the weights of our model with `upstream_tags`.

    Raises:
        DataError: a name is missing or unknown (another filtration, standardised grids), or the
            model merges by `add`, which is another function than the re-implementation's.
    """
    ours = {name: upstream for upstream, name in UPSTREAM_NAMES.items()}
    _check_names(state, ours, "our ACN model")
    score, key = state["visual_attention.score.weight"], state["visual_attention.key.weight"]
    if score.shape[1] != 2 * key.shape[0]:
        raise DataError("a model with attention_merge 'add' has no released counterpart")
    upstream = {name: state[mine].clone() for name, mine in UPSTREAM_NAMES.items()}
    blocks = upstream["lstm.char_cnn.linear.0.weight"].unflatten(1, (_WIDTHS, -1))
    upstream["lstm.char_cnn.linear.0.weight"] = blocks.transpose(1, 2).flatten(1)
    return upstream


def _check_names(state: Mapping[str, Tensor], expected: Mapping[str, str], what: str) -> None:
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    if missing:
        hint = near_match(missing[0], unknown)
        raise DataError(f"{what}: no tensor {', '.join(missing)}.{hint}")
    if unknown:
        raise DataError(f"{what}: unknown tensor {', '.join(unknown)}")


def _to_ours(found: Released, model: TaggingModel) -> State:
    return from_released(found.state, drop_pad_unk=not model.options.upstream_tags)


def _to_theirs(model: TaggingModel) -> Released:
    if not model.options.upstream_tags:
        raise DataError(
            "a model without upstream_tags has no released counterpart: there the CRF has the tags "
            "[pad] and [unk]. Train with upstream_tags: true."
        )
    tables = {name: model.vocabulary[name] for name in ("words", "chars")}
    return Released(to_released(model.state_dict()), tables)


CONVERTER = Converter(_to_ours, _to_theirs, ("words", "chars"))
