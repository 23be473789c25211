"""Names, shapes and counts of released VEC-MNER checkpoints, at the published size."""

import pytest
import torch
from transformers import BertConfig, CLIPVisionConfig

from extract.core.errors import DataError
from tests.builders.letters import write_letters
from tests.builders.train.published_recipes import published_recipe
from tests.builders.train.vec_mner_reference import VOCABULARY, write_checkpoints
from train.systems.base import count_parameters
from train.systems.vec_mner.model import Model
from train.systems.vec_mner.options import Options
from train.systems.vec_mner.released_checkpoint import UNUSED, from_released, to_released
from train.training.optim import build_optimizer


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all 416 entries of the released state_dict."""
    d, wide = 768, 3072
    vision, encoder = "ifa_model.vision_embeddings.", "ifa_model.encoder."
    tables = {"": 50, "pixel_": 49, "aux_": 48, "rcnn_": 12}
    shapes: dict[str, tuple[int, ...]] = {"logit_scale": ()}
    shapes[f"{vision}class_embedding"] = (d,)
    shapes[f"{vision}patch_embedding.weight"] = (d, 3, 32, 32)
    for kind, rows in tables.items():
        shapes[f"{vision}{kind}position_embedding.weight"] = (rows, d)
        shapes[f"{vision}{kind}position_ids"] = (1, rows)
    text = "ifa_model.text_embeddings."
    shapes |= {f"{text}position_ids": (1, 512), f"{text}word_embeddings.weight": (30522, d)}
    shapes |= {f"{text}position_embeddings.weight": (512, d)}
    shapes |= {f"{text}token_type_embeddings.weight": (2, d)}
    norms = ["ifa_model.vision_pre_layrnorm", "ifa_model.vision_post_layernorm", f"{text}LayerNorm"]
    linears = {"ifa_model.text_pooler.dense": (d, d), "fc": (11, d)}
    gate = f"{encoder}corr_aware_module.v2t_attn."
    linears |= {f"{gate}excitation.0": (6, 110), f"{gate}incr": (110, 6)}
    for i in range(12):
        layer = f"{encoder}vision_layers.{i}."
        linears |= {f"{layer}self_attn.{x}_proj": (d, d) for x in ("q", "k", "v", "out")}
        linears |= {f"{layer}mlp.fc1": (wide, d), f"{layer}mlp.fc2": (d, wide)}
        norms += [f"{layer}layer_norm1", f"{layer}layer_norm2"]
        layer = f"{encoder}text_layer.{i}."
        linears |= {f"{layer}attention.self.{x}": (d, d) for x in ("query", "key", "value")}
        linears |= {f"{layer}attention.output.dense": (d, d)}
        linears |= {f"{layer}intermediate.dense": (wide, d), f"{layer}output.dense": (d, wide)}
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name in norms:
        shapes |= {f"{name}.weight": (d,), f"{name}.bias": (d,)}
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    shapes |= {"crf.start_transitions": (11,), "crf.end_transitions": (11,)}
    return {**shapes, "crf.transitions": (11, 11)}


def published_state() -> dict[str, torch.Tensor]:
    """Return tensors of those names without data."""
    return {
        name: torch.empty(shape, dtype=torch.int64 if name.endswith("ids") else None, device="meta")
        for name, shape in published_shapes().items()
    }


@pytest.fixture(scope="module")
def published(tiny_encoder, tmp_path_factory) -> Model:
    """The model of the published size, without data."""
    folder = tmp_path_factory.mktemp("published")
    weights = write_checkpoints(folder, tiny_encoder("bert"))
    BertConfig().save_pretrained(weights["encoder"])
    write_letters(weights["encoder"], BertConfig().vocab_size)
    CLIPVisionConfig().save_pretrained(weights["vision"])
    with torch.device("meta"):
        return Model(Options.upstream(), VOCABULARY, weights, pretrained=False)


def sizes(names, shapes) -> tuple[int, int]:
    """Return (tensors, parameters)."""
    names = list(names)
    return len(names), sum(int(torch.Size(shapes[name]).numel()) for name in names)


def test_parameter_counts_at_published_size(published):
    shapes = published_shapes()
    assert len(shapes) == 416
    parameters = [name for name in shapes if not name.endswith("position_ids")]
    assert sizes(parameters, shapes) == (411, 197_031_991)
    assert sizes(UNUSED, shapes)[1] == 630_528
    ours = {name: tuple(tensor.shape) for name, tensor in published.state_dict().items()}
    assert sizes(ours, ours) == (406, 196_401_463)
    # The constant scale is a buffer, and the aligning layer's own values never train.
    assert count_parameters(published) == 196_401_463 - 1
    trained = sum(p.numel() for p in published.parameters() if p.requires_grad)
    assert trained == 195_810_871 - 1


def test_names_of_the_released_checkpoint_there_and_back(published):
    upstream = published_state()
    ours = from_released(upstream, published.state_dict())
    assert set(ours) == set(published.state_dict())
    back = to_released(ours)
    used = {name for name in upstream if name not in UNUSED and not name.endswith("position_ids")}
    assert set(back) == used
    assert all(back[name].shape == upstream[name].shape for name in used)


def test_there_and_back_is_the_identity(tiny_encoder, tmp_path):
    torch.manual_seed(0)
    weights = write_checkpoints(tmp_path, tiny_encoder("bert"), num_hidden_layers=2)
    model = Model(Options.upstream(), VOCABULARY, weights, pretrained=False)
    upstream = {name: torch.randn_like(t) for name, t in to_released(model.state_dict()).items()}
    with_unused = {**upstream, **dict.fromkeys(UNUSED, torch.zeros(1))}
    model.load_state_dict(from_released(with_unused, model.state_dict()))
    back = to_released(model.state_dict())
    assert list(back) == list(upstream)
    assert all(torch.equal(back[name], tensor) for name, tensor in upstream.items())


def test_missing_unknown_and_misshapen_tensors_are_errors(published):
    state, names = published_state(), published.state_dict()
    fewer = {name: tensor for name, tensor in state.items() if name != "fc.bias"}
    with pytest.raises(DataError, match=r"nothing for head\.bias"):
        from_released(fewer, names)
    with pytest.raises(DataError, match=r"unknown tensor extra\.weight"):
        from_released({**state, "extra.weight": state["fc.bias"]}, names)
    thirteen = {**state, "fc.bias": torch.empty(13, device="meta")}
    with pytest.raises(DataError, match=r"head\.bias has shape \(13,\), the model's has \(11,\)"):
        from_released(thirteen, names)


def test_shapes_at_published_width(tiny_encoder, tmp_path, monkeypatch):
    """Published but for the width of the feed-forward layers and the vocabulary."""
    small = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 8}
    weights = write_checkpoints(tmp_path, tiny_encoder("bert"), **small)
    model = Model(Options(), VOCABULARY, weights, pretrained=False).eval()
    scores, n_gated = [], []
    attention = torch.nn.functional.scaled_dot_product_attention

    def recorded(query, keys, values, **options):
        scores.append((query.shape[2], keys.shape[2]))
        assert query.shape[:2] == keys.shape[:2] == (2, 12) and query.shape[3] == 64
        return attention(query, keys, values, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recorded)
    model.stack.gate.register_forward_hook(lambda *_: n_gated.append(1))
    batch = {
        "input_ids": torch.zeros((2, 40), dtype=torch.int64),
        "mask": torch.ones((2, 40), dtype=torch.bool),
        "images": [torch.zeros(2, n, 3, px, px) for n, px in ((1, 224), (3, 128), (3, 64))],
        "present": [torch.ones((2, n), dtype=torch.bool) for n in (1, 3, 3)],
    }
    with torch.no_grad():
        trace = model.trace(batch)
    assert trace.emissions.shape == (2, 40, 11)
    assert trace.text[-1].shape == (2, 40, 768) and trace.vision.shape == (2, 110, 768)
    fusion = [(110, 150), (40, 150)] * 10
    assert scores == [(110, 110), (40, 40), (110, 40), (40, 110), *fusion]
    assert len(n_gated) == 11


def test_optimizer_groups_of_the_released_rule(published):
    """The released groups are recovered from ours, the unused tensors and the released rule."""
    by_identity = {id(p): name for name, p in published.named_parameters()}
    ours = {
        name: [by_identity[id(p)] for p in parameters]
        for name, parameters in published.parameter_groups().items()
    }
    names = dict(zip(published.state_dict(), to_released(published.state_dict()), strict=True))
    shapes = published_shapes()
    dead = [f"stack.vision.1.self_attn.v_proj.{kind}" for kind in ("weight", "bias")]
    backbone = [names[n] for g in ("encoder", "vision", "fusion") for n in ours[g]]
    backbone += [*UNUSED, *(names[name] for name in dead)]

    def decayed(name: str) -> bool:
        return "bias" not in name and "LayerNorm.weight" not in name

    crf, head = ([names[name] for name in ours[group]] for group in ("crf", "head"))
    expected = {
        (182, 196_798_248): filter(decayed, backbone),
        (223, 225_140): (name for name in backbone if not decayed(name)),
        (3, 143): filter(decayed, crf),
        (1, 8_448): filter(decayed, head),
        (1, 11): (name for name in head if not decayed(name)),
    }
    for size, members in expected.items():
        assert sizes(members, shapes) == size
    rates = published_recipe("vec_mner").lr
    assert {rates[group] for group in ("encoder", "vision", "fusion")} == {3e-5}
    assert {rates[group] for group in ("head", "crf")} == {5e-2}


def test_the_published_recipe_fits_the_groups(published):
    recipe = published_recipe("vec_mner")
    optimizer = build_optimizer(published, recipe)
    of_group: dict[str, int] = {}
    for group in optimizer.param_groups:
        size = sum(parameter.numel() for parameter in group["params"])
        of_group[group["name"]] = of_group.get(group["name"], 0) + size
        assert group["weight_decay"] == (1e-3 if group["params"][0].ndim > 1 else 0)
    assert of_group == {
        "encoder": 23_837_184 + 85_054_464,
        "vision": 85_054_464 - 590_592 + 768 + 768 * 3 * 32 * 32 + 2 * 768,
        "fusion": 1_436 + 109 * 768,
        "head": 8_459,
        "crf": 143,
    }
    # 40 epochs of 125 batches: 5000 updates, 250 of them warm-up.
    assert recipe.warmup * recipe.epochs * 125 == pytest.approx(250)
