"""IFFE, the routing between text and image: oracle values, laws, and what the readouts give."""

import itertools

import pytest
import torch

from train.systems.rpi_hmif.fusion_engine import (
    FusionEngine,
    FusionOptions,
    Router,
    RoutingMeter,
    squash,
)

EXACT = {"dtype": torch.float64}
TEXT = torch.tensor([[[2.0, 0, 0, 0], [1, 1, 0, 0], [2, 0, 0, 0]]], **EXACT)
IMAGE = torch.tensor([[[0.0, 1, 0, 0], [0, 0, 2, 0], [-1, 0, 0, 0]]], **EXACT)
MASK = torch.ones(1, 3, dtype=torch.bool)
VARIANTS = ("update", "update_fixedlogit", "update_ffn", "plain")

ORACLE = {
    ("update", "inv_sqrt_d"): (
        [0.715875, 0.361205, 0.826022],
        [0.949344, 0.128179, 0.992846],
        [8.437180, 1.817411, 8.986586],
        [0.832896, 7.489160, -2.216590],
    ),
    ("update", "one"): (
        [0.863913, 0.242269, 0.957523],
        [0.998589, 0.010149, 0.999962],
        [18.622780, 2.934428, 19.282042],
        [1.354330, 16.950207, -4.071091],
    ),
    ("plain", "inv_sqrt_d"): (
        [0.592106, 0.439067, 0.574443],
        [0.700703, 0.359839, 0.693223],
        [1.731992, 0.628930, 1.081742],
        [0.293899, 1.642574, -0.540871],
    ),
    ("plain", "one"): (
        [0.678166, 0.379918, 0.645656],
        [0.867349, 0.212063, 0.881057],
        [3.777553, 1.043606, 2.794448],
        [0.458194, 3.580641, -1.397224],
    ),
}


def routed(text=TEXT, visual=IMAGE, **options):
    """Return the passes of a router of these features' width, in float64."""
    torch.manual_seed(0)
    return Router(text.shape[-1], FusionOptions(**options)).double()(text, visual)


def engine(dim=16, **options):
    torch.manual_seed(0)
    return FusionEngine(dim, 4, FusionOptions(**options)).double().eval()


def random_pairs(n, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pair = torch.randn(2, n, dim, generator=generator, **EXACT)
    scale = torch.rand(2, n, 1, generator=generator, **EXACT) * 2 + 0.1
    return (pair * scale).unsqueeze(1).unbind(0)  # shape: (1, n, dim) each


def assert_close(got, expected, tolerance=1e-5):
    torch.testing.assert_close(
        got.squeeze(0), torch.tensor(expected, **EXACT), atol=tolerance, rtol=0
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_weights_sum_to_one(variant, dtype, tolerance):
    text, image = (x.to(dtype) for x in random_pairs(200))
    torch.manual_seed(0)
    for state in Router(16, FusionOptions(variant=variant, iterations=7)).to(dtype)(text, image):
        assert (state.weights.sum(-1) - 1).abs().max() <= tolerance
        assert state.weights.min() >= 0 and state.weights.max() <= 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_start_is_uniform(variant):
    assert (engine(4, variant=variant, iterations=0)(TEXT, IMAGE, MASK).weights == 0.5).all()
    passes = routed(variant=variant, iterations=2)
    assert (passes[0].weights == 0.5).all()
    assert (passes[1].weights != 0.5).all()


@pytest.mark.parametrize(("variant", "scale"), ORACLE)
def test_weights_and_logits_of_the_oracle(variant, scale):
    second, third, text_logit, visual_logit = ORACLE[variant, scale]
    passes = routed(variant=variant, agreement_scale=scale)
    assert_close(passes[1].weights[..., 0], second)
    assert_close(passes[2].weights[..., 0], third)
    assert_close(passes[2].text_logit, text_logit)
    assert_close(passes[2].visual_logit, visual_logit)


@pytest.mark.parametrize("scale", ["inv_sqrt_d", "one"])
def test_fixedlogit_has_the_weights_of_plain(scale):
    for one, other in zip(
        routed(variant="update_fixedlogit", agreement_scale=scale),
        routed(variant="plain", agreement_scale=scale),
        strict=True,
    ):
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.text_logit, other.text_logit)
        assert torch.equal(one.visual_logit, other.visual_logit)


def test_growth_of_the_features():
    last = routed()[-1]
    assert_close(last.text.norm(dim=-1) / TEXT.norm(dim=-1), [5.017245, 2.303524, 5.458471])
    assert_close(last.visual.norm(dim=-1) / IMAGE.norm(dim=-1), [2.023761, 4.601297, 1.773565])


def agreement(state, text, image):
    """A = c_t cos(a, TF) + c_v cos(a, VF)."""
    cosines = [torch.cosine_similarity(state.capsule, x, dim=-1) for x in (text, image)]
    return (state.weights * torch.stack(cosines, dim=-1)).sum(-1)


def test_agreement_grows_on_the_oracle():
    found = torch.stack([agreement(state, TEXT, IMAGE) for state in routed()])
    assert_close(found[0], [0.670820, 0.696923, 0.0])
    assert_close(found[1], [0.770047, 0.733746, 0.652044])
    assert_close(found[2], [0.940621, 0.864620, 0.985692])
    assert (found.diff(dim=0) > 0).all()


@pytest.mark.parametrize("variant", ["update", "plain"])
@pytest.mark.parametrize("scale", ["inv_sqrt_d", "one"])  # 1/4 and 1 at width 16
def test_agreement_never_falls(variant, scale):
    text, image = random_pairs(20_000)
    passes = routed(text, image, variant=variant, agreement_scale=scale, iterations=5)
    grown = torch.stack([agreement(state, text, image) for state in passes]).diff(dim=0)
    assert grown.min() >= -1e-12
    greater = torch.stack([state.weights.amax(-1) for state in passes]).diff(dim=0)
    assert greater.min() >= -1e-12


def test_a_conflicting_image_is_suppressed():
    passes = routed(iterations=6)
    logits = torch.stack([state.visual_logit[0, 2] for state in passes])
    assert logits[0] < 0 and (logits.diff() < 0).all()
    assert passes[-1].weights[0, 2, 1] < 1e-6


@pytest.mark.parametrize("variant", ["update", "plain"])
def test_the_greater_norm_wins(variant):
    text, image = random_pairs(5_000)
    longer = torch.sign(text.norm(dim=-1) - image.norm(dim=-1))
    for state in routed(text, image, variant=variant, iterations=4):
        assert torch.equal(torch.sign(state.text_logit - state.visual_logit), longer)


@pytest.mark.parametrize("variant", ["update", "plain"])
def test_equal_norms_stay_equal(variant):
    text = torch.tensor([[[1.0, 0.0]]], **EXACT)
    image = torch.tensor([[[0.5, 0.75**0.5]]], **EXACT)  # 60 degrees apart
    for state in routed(text, image, variant=variant, iterations=7):
        assert (state.weights - 0.5).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squash_keeps_lengths_below_1_and_in_order(dtype):
    direction = torch.nn.functional.normalize(torch.randn(1, 8, dtype=dtype), dim=-1)
    length = torch.logspace(-6, 4, 200, dtype=dtype).unsqueeze(1)
    norms = squash(length * direction).norm(dim=-1)
    assert norms.isfinite().all()
    if dtype == torch.float64:
        assert (norms < 1).all() and (norms.diff() > 0).all()
    else:  # from a length of a few thousand on, 1 - 1/u^2 rounds to 1
        assert (norms <= 1 + 2e-7).all() and (norms.diff() > -2e-7).all()
    zero = torch.zeros(1, 8, dtype=dtype, requires_grad=True)
    squash(zero).sum().backward()
    assert torch.equal(squash(zero), zero) and zero.grad.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_passes_is_the_mean(variant):
    fused = engine(4, readout="weighted_sum", variant=variant, iterations=0)(TEXT, IMAGE, MASK)
    assert torch.equal(fused.states, (TEXT + IMAGE) / 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_number_of_iterations_gives_other_states(variant):
    text, image = random_pairs(6)
    mask = torch.ones(1, 6, dtype=torch.bool)
    models = [engine(variant=variant, iterations=r) for r in range(8)]
    outputs = [model(text, image, mask).states for model in models]
    for r, (fewer, more) in enumerate(itertools.pairwise(outputs)):
        if r == 0 and variant == "plain":
            continue  # the first pass leaves the weights at 1/2 and plain updates nothing else
        assert (fewer - more).abs().max() > 1e-6, r
    shapes = [{n: p.shape for n, p in model.named_parameters()} for model in models]
    assert all(one == shapes[0] for one in shapes)


def test_linear_transform_and_detached_logits():
    text, image = random_pairs(3)
    assert (
        engine(transform="linear")(text, image, MASK).states != engine()(text, image, MASK).states
    ).any()
    same = engine(detach_logits=True)(text, image, MASK).states
    assert torch.equal(same, engine()(text, image, MASK).states)
    gradients = []
    for detach in (False, True):
        leaf = text.clone().requires_grad_()
        routed(leaf, image, detach_logits=detach)[-1].text.sum().backward()
        gradients.append(leaf.grad)
    assert (gradients[0] - gradients[1]).abs().max() > 1e-6
    weights = routed(leaf, image, detach_logits=True)[-1].weights
    assert not weights.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_routing_is_in_float32_under_autocast(dtype):
    text, image = (x.float() for x in random_pairs(4))
    with torch.autocast("cpu", dtype):
        passes = Router(16, FusionOptions(variant="update_ffn", iterations=7))(
            text.to(dtype), image.to(dtype)
        )
    assert all(tensor.dtype == torch.float32 for tensor in passes[-1])


def test_the_meter_counts_real_tokens():
    meter = RoutingMeter()
    assert meter.pop() is None
    share = torch.tensor([[0.2, 0.4, 0.9], [0.6, 0.5, 0.5]])
    weights = torch.stack([share, 1 - share], dim=-1)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    meter.add(weights, mask)
    mean, spread = meter.pop()
    assert mean == pytest.approx(0.4) and spread == pytest.approx((0.08 / 3) ** 0.5)
    assert meter.pop() is None
