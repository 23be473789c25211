"""Checkpoints of VEC-MNER's released code: its tensor names to ours and back.

Nothing is guessed: a missing or unknown name is an error. Dropped are the tensors that the released
model holds without using them, and its buffers of counting numbers.
"""

from collections.abc import Mapping

from torch import Tensor

from extract.core.errors import DataError, near_match
from train.systems.released import Converter, Released

# Start of a name in released code -> start of a name here.
_STARTS = {
    "ifa_model.text_embeddings.": "text_embeddings.",
    "ifa_model.encoder.text_layer.": "stack.text.",
    "ifa_model.vision_embeddings.class_embedding": "pictures.class_embedding",
    "ifa_model.vision_embeddings.patch_embedding.": "pictures.patch_embedding.",
    "ifa_model.vision_embeddings.pixel_position_embedding.weight": "pictures.positions.image",
    "ifa_model.vision_embeddings.aux_position_embedding.weight": "pictures.positions.crops",
    "ifa_model.vision_embeddings.rcnn_position_embedding.weight": (
        "pictures.positions.detector_crops"
    ),
    "ifa_model.vision_pre_layrnorm.": "picture_norm.",
    "ifa_model.encoder.vision_layers.": "stack.vision.",
    "ifa_model.encoder.corr_aware_module.v2t_attn.excitation.0.": "stack.gate.excitation.",
    "ifa_model.encoder.corr_aware_module.v2t_attn.incr.": "stack.gate.increase.",
    "crf.": "crf.",
    "fc.": "head.",
    "logit_scale": "contrast.logit_scale",
}
UNUSED = (
    "ifa_model.vision_embeddings.position_embedding.weight",
    "ifa_model.vision_post_layernorm.weight",
    "ifa_model.vision_post_layernorm.bias",
    "ifa_model.text_pooler.dense.weight",
    "ifa_model.text_pooler.dense.bias",
)
"""Parameters of the released model that nothing uses; the model here does not have them."""


def from_released(state: Mapping[str, Tensor], names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of our model from those of the released code.

    The tags must be the released eleven, so the corpus' types PER, LOC, ORG and MISC.

    Args:
        state: the released model's state_dict.
        names: state_dict of the model that is to take them (its names and shapes).

    Raises:
        DataError: a tensor is missing, unknown or of another shape.

    Source: the released model's state dict.
    """
    ours = {
        _renamed(name, _STARTS): tensor.clone()
        for name, tensor in state.items()
        if name not in UNUSED and not name.endswith("position_ids")
    }
    _check(ours, names, "released VEC-MNER checkpoint")
    return ours


def to_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the released code's state_dict, without its unused tensors, from our weights.

    Raises:
        DataError: a tensor has no counterpart there (streams of unequal width).
    """
    starts = {ours: upstream for upstream, ours in _STARTS.items()}
    return {_renamed(name, starts): tensor.clone() for name, tensor in state.items()}


def _renamed(name: str, starts: Mapping[str, str]) -> str:
    for start, replacement in starts.items():
        if name.startswith(start):
            return replacement + name.removeprefix(start)
    raise DataError(f"VEC-MNER: unknown tensor {name}.{near_match(name, starts)}")


def _check(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing:
        raise DataError(f"{what}: nothing for {', '.join(missing[:5])}")
    if unknown:
        raise DataError(f"{what}: the model has no {', '.join(unknown[:5])}")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise DataError(
                f"{what}: {name} has shape {tuple(tensor.shape)}, the model's has "
                f"{tuple(expected[name].shape)}"
            )


CONVERTER = Converter(
    lambda found, model: from_released(found.state, model.state_dict()),
    lambda model: Released(to_released(model.state_dict())),
)
