"""Parts of the hybrid stack: soft pooling, gate, picture tokens, exchange, contrastive loss."""

import pytest
import torch
from transformers import BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

from extract.core.errors import ConfigError
from train.blocks.pooled_contrast import PooledContrast, masked_max
from train.blocks.visual_sequence import Pictures
from train.systems.vec_mner.correlation_gate import CorrelationGate, soft_pool
from train.systems.vec_mner.hybrid_stack import HybridStack
from train.systems.vec_mner.picture_tokens import PictureKind, PictureTokens

KINDS = (PictureKind("image", 1, 64), PictureKind("crops", 2, 32))
MASK = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])


def tower(**changes) -> CLIPVisionModel:
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 32, "image_size": 64, "patch_size": 16, **changes}
    return CLIPVisionModel(CLIPVisionConfig(**sizes))


def encoder(**changes) -> BertModel:
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 32, "vocab_size": 30, **changes}
    return BertModel(BertConfig(**sizes), add_pooling_layer=False)


def stack(text=None, vision=None, n_positions=9, **changes) -> HybridStack:
    options = {"gate": "sigmoid", "pooling": "standard", "visual_score_bias": 0.0, **changes}
    return HybridStack(text or encoder(), vision or tower(), n_positions, **options).eval()


def run(model: HybridStack, text, vision, vision_mask=None, **changes):
    shown = torch.ones(vision.shape[:2], dtype=torch.bool) if vision_mask is None else vision_mask
    arguments = {"text_mask": MASK, "seen_text": MASK, "vision_mask": shown, **changes}
    return model(text, vision, **arguments)


# Soft pooling


def test_standard_soft_pool_against_the_definition():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    weights = x.exp()
    expected = (weights * x).sum(2) / weights.sum(2)
    got = soft_pool(x, MASK)
    torch.testing.assert_close(got[MASK], expected[MASK])
    assert (got[~MASK] == 0).all()
    assert (got[MASK] > x.mean(2)[MASK]).all()  # larger channels weigh more


def test_cross_position_soft_pool_is_its_formula_without_the_shift():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    weights = (x.exp() * MASK.unsqueeze(2)).sum(1, keepdim=True)
    expected = ((weights * x).sum(2) / weights.sum(2)).clamp(min=0) * MASK
    got = soft_pool(x, MASK, "cross_position")
    torch.testing.assert_close(got, expected)
    assert (got == 0).any() and (got > 0).any()


@pytest.mark.parametrize("kind", ["standard", "cross_position"])
def test_soft_pool_does_not_overflow_and_ignores_hidden_positions(kind):
    torch.manual_seed(0)
    x = 500 + torch.randn(2, 6, 5)
    pooled = soft_pool(x, MASK, kind)
    assert pooled.isfinite().all() and (pooled[MASK] > 497).all()
    changed = x.masked_fill(~MASK.unsqueeze(2), 9000.0)
    assert torch.equal(soft_pool(changed, MASK, kind), pooled)


# Gate


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_the_gate_scales_positions(kind):
    torch.manual_seed(0)
    gate = CorrelationGate(110, gate=kind)
    assert sum(p.numel() for p in gate.parameters()) == 1_436
    states, mask = torch.randn(2, 110, 768), torch.ones(2, 110, dtype=torch.bool)
    gates = gate.gates(states, mask)
    ratio = gate(states, mask) / states
    torch.testing.assert_close(ratio, gates.unsqueeze(2).expand_as(ratio), rtol=1e-4, atol=0)
    total = gates.sum(1)
    if kind == "softmax":
        torch.testing.assert_close(total, torch.ones(2))
    else:
        assert ((gates > 0) & (gates < 1)).all() and (total > 20).all()


@pytest.mark.parametrize("pooling", ["standard", "cross_position"])
@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_hidden_positions_have_gate_0_and_influence_none(kind, pooling):
    torch.manual_seed(0)
    gate = CorrelationGate(6, gate=kind, pooling=pooling)
    states = torch.randn(2, 6, 5)
    gates = gate.gates(states, MASK)
    assert (gates[~MASK] == 0).all() and (gates[MASK] > 0).all()
    if kind == "softmax":
        torch.testing.assert_close(gates.sum(1), torch.ones(2))
    changed = states.masked_fill(~MASK.unsqueeze(2), 4.0)
    assert torch.equal(gate.gates(changed, MASK), gates)


def test_the_gate_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    gate, states = CorrelationGate(6), torch.randn(2, 6, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        gates = gate.gates(states, MASK)
        assert gates.dtype == torch.float32 and gate(states, MASK).dtype == torch.bfloat16
    assert torch.equal(gates, gate.gates(states.float(), MASK))


# Picture tokens


def pictures(present=((True, True), (True, False))) -> Pictures:
    torch.manual_seed(1)
    images = torch.randn(2, 1, 3, 64, 64), torch.randn(2, 2, 3, 32, 32)
    return Pictures(images, (torch.ones(2, 1, dtype=torch.bool), torch.tensor(present)))


def test_tokens_are_class_vector_and_patches_in_row_major_order():
    torch.manual_seed(0)
    tokens = PictureTokens(tower(), KINDS, positions="normal")
    assert tokens.length == 1 + 16 + 2 * 4
    shown = pictures()
    out, mask = tokens(shown)
    assert out.shape == (2, 25, 24)
    assert torch.equal(out[:, 0], tokens.class_embedding.expand(2, -1))
    weight = tokens.patch_embedding.weight.flatten(1)
    image, crop = shown.images[0][0, 0], shown.images[1][1, 0]
    for position, patch, table, row in (
        (1 + 4 * 2 + 3, image[:, 32:48, 48:64], "image", 11),
        (17 + 1, crop[:, :16, 16:], "crops", 1),
        (17 + 2, crop[:, 16:, :16], "crops", 2),
    ):
        sample = 0 if table == "image" else 1
        expected = weight @ patch.flatten() + tokens.positions[table][row]
        torch.testing.assert_close(out[sample, position], expected, atol=1e-5, rtol=1e-4)
    assert mask.tolist() == [[True] * 25, [True] * 21 + [False] * 4]


def test_positions_start_from_the_tower():
    base = tower()
    before = base.embeddings.class_embedding.detach().clone()
    rows = base.embeddings.position_embedding.weight.detach().clone()
    tokens = PictureTokens(base, KINDS)
    torch.testing.assert_close(tokens.class_embedding.data, before + rows[0])
    assert torch.equal(tokens.positions["image"].data, rows[1:])
    crops = tokens.positions["crops"].data
    assert torch.equal(crops[:4], crops[4:]) and crops[:4].std() > 0
    # The resized grid keeps the order of the original: its corners resemble the nearest rows.
    grid = rows[1:].T.reshape(1, 24, 4, 4)
    small = torch.nn.functional.interpolate(grid, (2, 2), mode="bicubic", align_corners=False)
    torch.testing.assert_close(crops[1], small[0, :, 0, 1])


def test_whole_image_tokens_equal_the_tower_s_own_embeddings():
    base, shown = tower(), pictures()
    expected = base.embeddings(shown.images[0][:, 0]).detach()
    out, _ = PictureTokens(base, KINDS)(shown)
    torch.testing.assert_close(out[:, :17], expected)


def test_normal_positions_ignore_the_tower_s_table():
    base = tower()
    before = base.embeddings.class_embedding.detach().clone()
    tokens = PictureTokens(base, KINDS, positions="normal")
    assert torch.equal(tokens.class_embedding.data, before)
    assert tokens.positions["image"].std().item() == pytest.approx(1, abs=0.15)


def test_sides_must_be_multiples_of_the_patch():
    with pytest.raises(ConfigError, match="crops: a picture of 40 px cannot be cut into"):
        PictureTokens(tower(), [PictureKind("crops", 1, 40)])


# Stack


def test_layer_0_is_unimodal_and_layer_1_sees_the_other_stream_alone():
    torch.manual_seed(0)
    text, vision = torch.randn(2, 6, 24), torch.randn(2, 9, 24)
    model = stack(encoder(num_hidden_layers=2), tower(num_hidden_layers=2))
    first = run(model, text, vision).text[0]
    other = run(model, text, torch.randn(2, 9, 24)).text
    assert torch.equal(other[0], first)
    # In layer 1 the own keys and values of the text have no part in its attention.
    key = model.text[1].attention.self.key
    before = run(model, text, vision).text[1]
    key.weight.data.add_(1.0)
    assert torch.equal(run(model, text, vision).text[1], before)


def test_a_constant_on_scores_of_the_aligning_layer_changes_nothing(
    monkeypatch,
):
    torch.manual_seed(0)
    text, vision = torch.randn(2, 6, 24).double(), torch.randn(2, 9, 24).double()
    model = stack(encoder(num_hidden_layers=2), tower(num_hidden_layers=2)).double()
    expected = run(model, text, vision)
    original = HybridStack._text_below

    def shifted(self, level, below, bias):
        return original(self, level, below, bias + 3.0)

    monkeypatch.setattr(HybridStack, "_text_below", shifted)
    got = run(model, text, vision)
    torch.testing.assert_close(got.vision, expected.vision)
    torch.testing.assert_close(got.text[-1], expected.text[-1])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_score_bias_matters_from_three_layers_on(layers):
    torch.manual_seed(0)
    text, vision = torch.randn(2, 6, 24).double(), torch.randn(2, 9, 24).double()
    parts = encoder(num_hidden_layers=layers), tower(num_hidden_layers=layers)
    without = stack(*parts).double()
    with_bias = stack(*parts, visual_score_bias=1.0).double()
    with_bias.load_state_dict(without.state_dict())
    change = run(with_bias, text, vision).text[-1] - run(without, text, vision).text[-1]
    assert (change.abs().max() > 1e-4) if layers > 2 else (change.abs().max() < 1e-12)


def test_unfinished_vision_gives_the_same_text():
    torch.manual_seed(0)
    text, vision, model = torch.randn(2, 6, 24), torch.randn(2, 9, 24), stack()
    whole, part = run(model, text, vision), run(model, text, vision, finish_vision=False)
    assert part.vision is None and whole.vision.shape == (2, 9, 24)
    assert all(torch.equal(a, b) for a, b in zip(part.text, whole.text, strict=True))


@pytest.mark.parametrize(
    ("text_sizes", "vision_sizes"),
    [
        ({"hidden_size": 16}, {}),
        ({"num_attention_heads": 2}, {}),
        ({"num_hidden_layers": 5}, {}),
        ({"num_hidden_layers": 2}, {"hidden_size": 48, "num_attention_heads": 3}),
    ],
)
def test_streams_of_other_widths_heads_and_depths(text_sizes, vision_sizes):
    torch.manual_seed(0)
    parts = encoder(**text_sizes), tower(**vision_sizes)
    model = stack(*parts)
    text = torch.randn(2, 6, parts[0].config.hidden_size)
    vision = torch.randn(2, 9, parts[1].config.hidden_size)
    states = run(model, text, vision)
    assert len(states.text) == parts[0].config.num_hidden_layers
    assert states.text[-1].shape == text.shape and states.vision.shape == vision.shape
    (states.text[-1].sum() + states.vision.square().sum()).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None and p.requires_grad]
    assert without == []
    same_width = parts[0].config.hidden_size == parts[1].config.hidden_size
    assert bool(model.to_text) == bool(model.to_vision) == (not same_width)


def test_hidden_pictures_change_neither_stream():
    torch.manual_seed(0)
    text, vision, model = torch.randn(2, 6, 24), torch.randn(2, 9, 24), stack()
    shown = torch.tensor([[True] * 9, [True] * 5 + [False] * 4])
    expected = run(model, text, vision, shown)
    changed = vision.masked_fill(~shown.unsqueeze(2), 5.0)
    got = run(model, text, changed, shown)
    torch.testing.assert_close(got.text[-1], expected.text[-1])
    torch.testing.assert_close(got.vision[shown], expected.vision[shown])


# Contrast


def test_contrastive_loss_at_its_extremes():
    torch.manual_seed(0)
    contrast = PooledContrast(8, 8)
    seen = torch.ones(32, 3, dtype=torch.bool)
    text, vision = torch.randn(2, 32, 3, 8).unbind(0)
    assert contrast(text[:1], seen[:1], vision[:1], seen[:1]).item() == pytest.approx(0, abs=1e-6)
    same = torch.ones(32, 3, 8)
    equal = contrast(same, seen, same, seen).item()
    assert equal == pytest.approx(torch.tensor(32.0).log().item(), abs=1e-5)
    bound = torch.log(1 + 31 * torch.exp(-2 * contrast.logit_scale)).item()
    assert bound == pytest.approx(0.14, abs=5e-3)
    for states in (torch.randn(32, 3, 8), torch.eye(32).unsqueeze(1).expand(-1, 3, -1)):
        assert contrast(states, seen, states, seen).item() > bound
    assert contrast(text[:0], seen[:0], vision[:0], seen[:0]).item() == 0


def test_contrastive_loss_against_cross_entropy():
    torch.manual_seed(0)
    text, vision = torch.randn(2, 4, 3, 8).unbind(0)
    mask = torch.tensor([[True, True, False]] * 4)
    words = torch.nn.functional.normalize(text[:, :2].amax(1))
    images = torch.nn.functional.normalize(vision[:, :2].amax(1))
    logits, target = words @ images.T, torch.arange(4)
    for scale, factor in (("raw_frozen", 2.65926), ("exp_learned", 1 / 0.07)):
        contrast = PooledContrast(8, 8, scale=scale)
        entropy = torch.nn.functional.cross_entropy
        expected = entropy(factor * logits, target) + entropy(factor * logits.T, target)
        got = contrast(text, mask, vision, mask)
        torch.testing.assert_close(got, expected / 2, rtol=1e-4, atol=1e-5)
        assert (len(list(contrast.parameters())) == 1) == (scale == "exp_learned")


def test_learned_scale_is_at_most_100():
    contrast = PooledContrast(8, 8, scale="exp_learned")
    contrast.logit_scale.data.fill_(9.0)
    states, seen = torch.eye(8).unsqueeze(1), torch.ones(8, 1, dtype=torch.bool)
    assert contrast(states, seen, states, seen).item() == pytest.approx(0, abs=1e-6)
    opposite = contrast(states, seen, states.roll(1, 0), seen).item()
    assert opposite == pytest.approx(100, abs=1e-3)


def test_masked_max():
    states = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    assert masked_max(states, mask).tolist() == [[3.0, -5.0]]
