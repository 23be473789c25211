"""RPI-HMIF: weights, parameter groups, ablations, networks, samples, options."""

import pytest
import torch
from transformers import AutoModel, ViTConfig, ViTModel

from extract.core.errors import ConfigError, DataError, ShapeError
from extract.core.options import options_from
from tests.builders.train.published_recipes import published_recipe
from tests.builders.train.rpi_hmif_tiny import (
    N_VISUAL,
    SENTENCES,
    SIZES,
    TYPES,
    example,
    examples,
    train_steps,
    write_tower,
)
from train.blocks.vision_tower import load_vision_tower
from train.data.pieces import PieceTable
from train.systems.base import count_parameters
from train.systems.rpi_hmif.model import Model
from train.systems.rpi_hmif.options import Options
from train.training.optim import build_optimizer

BACKBONES = pytest.mark.parametrize("backbone", ["hybrid", "independent"])


# Determinism, weights, groups


def test_equal_inputs_give_equal_bits(build):
    model = build(torch.float32)
    batch = model.collate(examples())
    mask = model.question.mask.clone()
    first, second = model.trace(batch), model.trace(batch)
    assert torch.equal(first.emissions, second.emissions)
    assert torch.equal(first.question, second.question)
    train_steps(model, batch, 10)
    assert torch.equal(model.question.mask, mask) and mask.sum() < mask.numel()


def test_weights_are_those_of_the_checkpoints(build, tiny_encoder, tower):
    model = build(torch.float32)
    bert = AutoModel.from_pretrained(tiny_encoder("bert"), add_pooling_layer=False).state_dict()
    for ours in (model.backbone.encoder, model.question.bert):
        state = ours.state_dict()
        assert state.keys() == bert.keys()
        assert all(torch.equal(state[name], bert[name]) for name in bert)
    clip = load_vision_tower(tower, pretrained=True).state_dict()
    state = model.backbone.vision.state_dict()
    assert state.keys() == clip.keys()
    assert all(torch.equal(state[name], clip[name]) for name in clip)


def test_crop_positions_start_from_the_tower(build):
    sequence = build().backbone.sequence
    crops, detector = sequence.crop_positions
    assert crops.shape == (12, 32) and detector.shape == (3, 32)
    assert torch.equal(crops[:4], crops[4:8]) and not torch.equal(crops[0], crops[1])
    rows = build().backbone.vision.embeddings.position_embedding.weight[1:].detach()
    assert (crops[:4].mean(0) - rows.mean(0)).abs().max() < 0.05


VARIATIONS = {
    "default": {},
    "upstream": {"upstream": True},
    "no_him": {"him": {"enabled": False}},
    "no_visual_mining": {"him": {"visual": False}},
    "image_only": {"him": {"v_keys": "image_only"}},
    "no_question": {"question": {"mode": "none"}},
    "learned": {"question": {"mode": "learned"}},
    "deep_prompts": {"question": {"prompt_depth": "deep"}},
    "shared_encoder": {"question": {"encoder": "shared"}},
    "no_iffe": {"iffe": {"enabled": False}},
    "no_iffe_text": {"iffe": {"enabled": False, "off_mode": "text"}},
    "fixedlogit": {"iffe": {"variant": "update_fixedlogit"}},
    "ffn": {"iffe": {"variant": "update_ffn"}},
    "plain": {"iffe": {"variant": "plain", "transform": "linear"}},
    "weighted_sum": {"iffe": {"readout": "weighted_sum", "iterations": 0}},
    "crops_only": {"use_whole_image": False},
    "text_only": {"use_image": False},
    "independent": {"backbone": "independent"},
    "contrastive": {"contrastive_weight": 1.0},
}


@pytest.mark.parametrize("options", VARIATIONS.values(), ids=VARIATIONS)
def test_every_variation_trains_and_tags(build, options):
    """Loss and gradients are finite, groups are complete, each token gets a BIO tag."""
    model = build(torch.float32, **options).train()
    recipe = published_recipe("rpi_hmif", "twitter2017")
    optimizer = build_optimizer(model, recipe)
    batch = model.collate(examples())
    output = model(batch)
    output.loss.backward()
    optimizer.step()
    assert output.loss.isfinite() and output.emissions.shape == (3, 36, 11)
    assert sum(part.item() for part in output.parts.values()) == pytest.approx(output.loss.item())
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    tags = model.eval().decode(model.collate(examples(labelled=False)), "main")
    assert [len(t) for t in tags] == [6, 2, 5]
    assert {tag[0] for row in tags for tag in row} <= set("OBI")


@pytest.mark.parametrize("options", VARIATIONS.values(), ids=VARIATIONS)
def test_every_parameter_is_in_one_group(build, options):
    model = build(**options)
    groups = model.parameter_groups()
    grouped = [id(p) for group in groups.values() for p in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters() if p.requires_grad}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert {n.rpartition(".")[0] for n in frozen} == {"backbone.vision.post_layernorm"}


@pytest.mark.parametrize("corpus", ["twitter2015", "twitter2017"])
def test_recipes_name_every_group(build, corpus):
    recipe = published_recipe("rpi_hmif", corpus)
    assert set(recipe.lr) == set(build().parameter_groups())
    assert set(recipe.weight_decay) <= {"default", *recipe.lr}


def test_no_weight_is_dead(build):
    """Every trainable tensor gets a gradient in the default model, unused table rows apart."""
    model = build(iffe={"transform": "linear"}, question={"prompt_depth": "deep"}).train()
    model(model.collate(examples())).loss.backward()
    without = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert without == set()


def test_shapes_of_everything_computed(build):
    trace = (model := build()).trace(model.collate(examples()))
    for states in (trace.text, trace.mined_text, trace.mined_visual, trace.fused):
        assert states.shape == (3, 36, 32)
    assert trace.visual.shape == (3, N_VISUAL, 32)
    assert trace.question.shape == (1, 60, 32)
    assert trace.weights.shape == (3, 36, 2) and len(trace.passes) == 3
    assert build(use_whole_image=False).backbone.sequence.length == N_VISUAL - 16
    assert trace.visual_mask.sum(1).tolist() == [N_VISUAL, 1 + 16 + 4 + 2, 0]


def test_visual_tokens_at_published_sizes(build, tmp_path):
    """110 tokens with the whole image, 61 without, whatever the width."""
    vision = write_tower(tmp_path, image_size=224, patch_size=32)
    sides = {"crop_px": 128, "detector_crop_px": 64}
    assert build(vision=vision, **sides).backbone.sequence.length == 110
    assert build(vision=vision, use_whole_image=False, **sides).backbone.sequence.length == 61


def test_zero_passes_equal_the_ablation(build):
    """With `weighted_sum`, no pass is the mean of both features, and so is no engine."""
    engine = build(iffe={"readout": "weighted_sum", "iterations": 0})
    without = build(iffe={"enabled": False})
    without.load_state_dict(engine.state_dict())
    batch = engine.collate(examples())
    trace, other = engine.trace(batch), without.trace(batch)
    assert torch.equal(trace.fused, (trace.mined_text + trace.mined_visual) / 2)
    assert torch.equal(trace.emissions, other.emissions)


# Networks of other kinds and shapes


@BACKBONES
def test_networks_of_unequal_shape(build, tmp_path, backbone):
    shape = {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 3}
    model = build(vision=write_tower(tmp_path, **shape), backbone=backbone).train()
    model(model.collate(examples())).loss.backward()
    joined = model.backbone.joining_parameters()
    assert len(joined) == (10 if backbone == "hybrid" else 2)
    assert all(p.grad.abs().max() > 0 for p in joined if p.ndim == 2)
    assert {id(p) for p in joined} <= {id(p) for p in model.parameter_groups()["him"]}


def test_only_clip_towers(build, tmp_path):
    ViTModel(ViTConfig(**SIZES, intermediate_size=64, image_size=32, patch_size=8)).save_pretrained(
        tmp_path
    )
    with pytest.raises(ConfigError, match="expected a CLIP tower, got ViTModel"):
        build(vision=tmp_path)


def test_without_exchange_it_is_plain_bert_and_clip(build):
    model = build(backbone="independent", use_whole_image=True)
    batch = model.collate(examples())
    text, _, _ = model.backbone(batch["input_ids"], batch["mask"], batch["pictures"])
    plain = model.backbone.encoder(
        input_ids=batch["input_ids"], attention_mask=batch["mask"].long()
    ).last_hidden_state
    assert (text - plain)[batch["mask"]].abs().max() < 1e-10
    # The tower alone sees the whole image only: hide the crops.
    there = batch["pictures"].present
    hidden = (there[0], torch.zeros_like(there[1]), torch.zeros_like(there[2]))
    pictures = batch["pictures"]._replace(present=hidden)
    _, vision, _ = model.backbone(batch["input_ids"], batch["mask"], pictures)
    images = pictures.images[0][:2, 0].double()
    plain = model.backbone.vision(images).last_hidden_state
    assert (vision[:2, :17] - plain).abs().max() < 1e-10


def test_a_trained_model_is_rebuilt_from_its_assets(build, tmp_path):
    model = build(torch.float32)
    model.save_assets(tmp_path)
    weights = {"encoder": tmp_path / "encoder", "vision": tmp_path / "vision"}
    torch.manual_seed(5)
    again = Model(model.options, {"entity_types": TYPES}, weights, False).eval()
    again.load_state_dict(model.state_dict())
    batch = model.collate(examples())
    assert torch.equal(model(batch).emissions, again(batch).emissions)
    assert count_parameters(model) == count_parameters(again)


# Samples


def test_tags_of_pieces(build):
    model = build()
    batch = model.collate(examples())
    names = [[model.tags.names[i] for i in row] for row in batch["tags"].tolist()]
    table = PieceTable(model.pieces.tokenizer.name_or_path)
    for row, (text, tags) in enumerate(SENTENCES):
        pieces = table.pieces(text.split())
        expected = [t for t, p in zip(tags.split(), pieces, strict=True) for _ in p]
        n = len(expected)
        assert names[row][: n + 2] == ["[CLS]", *expected, "[SEP]"]
    assert model.collate(examples(labelled=False))["tags"] is None


def test_words_beyond_the_row_are_outside(build):
    model = build(max_pieces=8)
    long = example(0, "the " * 9 + "man", "O " * 9 + "B-PER")
    batch = model.collate([long])
    assert batch["input_ids"].shape == (1, 8)
    tags = model.decode(batch)
    assert len(tags[0]) == 10 and tags[0][6:] == ["O"] * 4


def test_what_is_refused(build):
    model = build()
    with pytest.raises(DataError, match="sample s9: no token"):
        model.collate([example(9, "", None)])
    with pytest.raises(ShapeError, match="crops"):
        build(crop_px=24).collate(examples())
    with pytest.raises(ConfigError, match="cannot be cut into patches of 8 px"):
        build(crop_px=20)


@pytest.mark.parametrize(
    "bad",
    [
        {"dropout": 1.0},
        {"neftune_alpha": -1.0},
        {"crops": 0},
        {"iffe": {"iterations": 8}},
        {"contrastive_weight": 1.0, "use_image": False},
        {"question": {"mode": "each"}},
    ],
)
def test_options_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(Options, bad, "models.rpi_hmif.options")


def test_the_preset_of_the_released_code():
    options = Options.upstream(iffe={"iterations": 5}, max_pieces=50)
    assert options.iffe.agreement_scale == "one" and options.iffe.iterations == 5
    assert not options.use_whole_image and options.question.text == ""
    assert options.max_pieces == 50 and options.him == Options().him
