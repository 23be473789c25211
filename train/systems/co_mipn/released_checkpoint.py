"""Checkpoints of Co-MIPN's released code: its tensor names to ours and back.

Nothing is guessed: an unknown or missing name is an error. Only buffers of position numbers
(`position_ids`), which hold nothing, are passed over. Tensors are shared, not copied: 3 GB.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from extract.core.errors import DataError, near_match
from train.systems.co_mipn.options import Options
from train.systems.released import Converter, Released

_BERTS = {
    "bert1": "branches.encoders.0.model",
    "bert2": "branches.encoders.1.model",
    "bert3": "branches.encoders.2.model",
    "bert4": "branches.encoders.3.model",
    "bert": "text.model",
}
_DEAD = {"bert1": ("key", "value"), "bert2": ("query",), "bert4": ("query",)}
"""Projections whose place the image takes."""
_BERT_LAYER = (
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
)
_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")
_ALBERT_LAYER = "encoder.albert_layer_groups.0.albert_layers.0"
_ALBERT_PARTS = (
    *("full_layer_layer_norm", "attention.query", "attention.key", "attention.value"),
    *("attention.dense", "attention.LayerNorm", "ffn", "ffn_output"),
)
_VIT_LAYER = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "layernorm_before",
    "layernorm_after": "layernorm_after",
}
_CLIP = "image_model.clip.vision_model"
_CLIP_LAYER = (
    *("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"),
    *("layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2"),
)
_HEADS = {
    "encoder_conv.0": "images.level_prompts.network.0",
    "encoder_conv.2": "images.level_prompts.network.2",
    "visual_projection": "images.similarity.vision",
    "text_projection": "images.similarity.text",
    "gate1": "branches.gate",
    "fc": "output",
}
_CONTRAST = {
    "vision_proj.0": "contrast.vision.0",
    "vision_proj.2": "contrast.vision.2",
    "text_proj.0": "contrast.text.0",
    "text_proj.2": "contrast.text.2",
}
_TEMPERATURE = "temp"
_CRF = ("start_transitions", "end_transitions", "transitions")


def upstream_names(
    *, bert_layers: int = 12, clip_layers: int = 12, vit_layers: int = 12
) -> dict[str, str]:
    """Return released name -> our name of every parameter, for `Options.upstream()`.

    Source: the state dict of the released code, as transformers 4.36 names its networks.
    """
    names: dict[str, str] = {}
    for upstream, ours in _BERTS.items():
        names |= _bert_names(upstream, ours, bert_layers)
    names |= _albert_names() | _vit_names(vit_layers) | _clip_names(clip_layers)
    gates = {f"gates2.{i}": f"images.gated_prompts.gates.{i}" for i in range(bert_layers)}
    names |= _tensors(_HEADS | gates | {"dim1": "unused.dim1"} | _CONTRAST)
    names |= {_TEMPERATURE: "contrast.temperature"} | {
        f"crf.{name}": f"crf.{name}" for name in _CRF
    }
    return names


def from_released(state: Mapping[str, Tensor], options: Options) -> dict[str, Tensor]:
    """Return the weights of our model.

    Args:
        state: the released state_dict, with or without its contrastive heads.
        options: of our model; what it does without is left behind.

    Raises:
        DataError: a name is missing or unknown, or the options deal out prompts to the heads in
            another way than the weights were trained with.
    """
    _check_layout(options)
    names = upstream_names(
        bert_layers=_count(state, "bert.encoder.layer."),
        clip_layers=_count(state, f"{_CLIP}.encoder.layers."),
        vit_layers=_count(state, "vit.encoder.layer."),
    )
    if _TEMPERATURE not in state and options.contrastive == "off":  # without --use_contrastive
        names = {up: ours for up, ours in names.items() if not ours.startswith("contrast.")}
    tensors = {name: t for name, t in state.items() if not name.endswith("position_ids")}
    _check_names(tensors, names, "a released Co-MIPN checkpoint")
    left_out = set(_absent(names, options))
    return {ours: tensors[up] for up, ours in names.items() if up not in left_out}


def told_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options that the tensors tell: a training without contrast has no temperature."""
    return {} if _TEMPERATURE in state else {"contrastive": "off"}


def to_released(state: Mapping[str, Tensor], options: Options) -> dict[str, Tensor]:
    """Return a state_dict of the released code, without its buffers, from the weights of our model.

    Raises:
        DataError: the model lacks tensors that released ones have (`unused_tensors`, another
            contrastive loss), a name is unknown, or the options deal out prompts in another way.
    """
    _check_layout(options)
    names = upstream_names(
        bert_layers=_count(state, "text.model.encoder.layer."),
        clip_layers=_count(state, "images.clip.encoder.layers."),
        vit_layers=_count(state, "images.dino.layers."),
    )
    absent = _absent(names, options)
    if absent:
        raise DataError(
            f"this Co-MIPN model does without {len(absent)} released tensors, e.g. {absent[0]}: "
            "only a model of Options.upstream() has all of them"
        )
    _check_names(state, list(names.values()), "our Co-MIPN model")
    return {upstream: state[ours] for upstream, ours in names.items()}


def _absent(names: Mapping[str, str], options: Options) -> list[str]:
    """Return the released names of what a model with these options does without."""
    prefixes: tuple[str, ...] = ()
    if options.contrastive != "albert_isolated":
        prefixes += ("sentence.", "unused.sentence_pooler.")
    if options.contrastive == "off":
        prefixes += ("contrast.",)
    if not options.unused_tensors:
        prefixes += ("unused.",)
    return [
        upstream
        for upstream, ours in names.items()
        if ours.startswith(prefixes) or (not options.unused_tensors and _is_dead(upstream))
    ]


def _is_dead(upstream: str) -> bool:
    """Say whether the image stands in for this projection of a branch."""
    branch, _, rest = upstream.partition(".")
    return any(f".self.{part}." in rest for part in _DEAD.get(branch, ()))


def _tensors(modules: Mapping[str, str]) -> dict[str, str]:
    """Return the names of weight and bias of each module."""
    return {
        f"{upstream}.{kind}": f"{ours}.{kind}"
        for upstream, ours in modules.items()
        for kind in ("weight", "bias")
    }


def _bert_names(upstream: str, ours: str, n_layers: int) -> dict[str, str]:
    tables = [f"embeddings.{name}.weight" for name in _TABLES]
    layers = [f"encoder.layer.{i}.{part}" for i in range(n_layers) for part in _BERT_LAYER]
    modules = {f"{upstream}.{m}": f"{ours}.{m}" for m in ("embeddings.LayerNorm", *layers)}
    modules[f"{upstream}.pooler.dense"] = f"unused.{upstream}_pooler"
    return {f"{upstream}.{name}": f"{ours}.{name}" for name in tables} | _tensors(modules)


def _albert_names() -> dict[str, str]:
    tables = [f"embeddings.{name}.weight" for name in _TABLES]
    parts = ["embeddings.LayerNorm", "encoder.embedding_hidden_mapping_in"]
    parts += [f"{_ALBERT_LAYER}.{part}" for part in _ALBERT_PARTS]
    modules = {f"albert.{part}": f"sentence.encoder.model.{part}" for part in parts}
    modules["albert.pooler"] = "unused.sentence_pooler"
    return {f"albert.{name}": f"sentence.encoder.model.{name}" for name in tables} | _tensors(
        modules
    )


def _vit_names(n_layers: int) -> dict[str, str]:
    single = ("embeddings.cls_token", "embeddings.position_embeddings")
    modules = {
        f"vit.encoder.layer.{i}.{upstream}": f"images.dino.layers.{i}.{ours}"
        for i in range(n_layers)
        for upstream, ours in _VIT_LAYER.items()
    }
    for name in ("embeddings.patch_embeddings.projection", "layernorm"):
        modules[f"vit.{name}"] = f"images.dino.{name}"
    modules["vit.pooler.dense"] = "unused.dino_pooler"
    return {f"vit.{name}": f"images.dino.{name}" for name in single} | _tensors(modules)


def _clip_names(n_layers: int) -> dict[str, str]:
    single = ("class_embedding", "patch_embedding.weight", "position_embedding.weight")
    layers = [f"encoder.layers.{i}.{part}" for i in range(n_layers) for part in _CLIP_LAYER]
    modules = ["pre_layrnorm", *layers, "post_layernorm"]
    return {
        f"{_CLIP}.embeddings.{name}": f"images.clip.embeddings.{name}" for name in single
    } | _tensors({f"{_CLIP}.{name}": f"images.clip.{name}" for name in modules})


def _count(state: Iterable[str], prefix: str) -> int:
    """Return how many layers there are under a prefix."""
    return len({name[len(prefix) :].partition(".")[0] for name in state if name.startswith(prefix)})


def _check_layout(options: Options) -> None:
    if options.prompt_head_layout != "raw":
        raise DataError(
            "released weights were trained with prompt_head_layout 'raw': with "
            f"'{options.prompt_head_layout}' they are another function"
        )


def _check_names(state: Mapping[str, Tensor], expected: Iterable[str], what: str) -> None:
    """Check that exactly these tensors are there."""
    expected = dict.fromkeys(expected)
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    if missing:
        shown = ", ".join(missing[:3])
        raise DataError(
            f"{what}: {len(missing)} tensors missing: {shown}.{near_match(missing[0], unknown)}"
        )
    if unknown:
        raise DataError(f"{what}: {len(unknown)} unknown tensors: {', '.join(unknown[:3])}")


CONVERTER = Converter(
    lambda found, model: from_released(found.state, model.options),
    lambda model: Released(to_released(model.state_dict(), model.options)),
    told=lambda found: told_options(found.state),
)
