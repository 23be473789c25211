"""VEC-MNER against numbers computed by an independent reference, in float64.

The tensors are filled by their released names, so this also proves the name mapping.
"""

import pytest
import torch
from torch import Tensor

from tests.builders.train.vec_mner_reference import (
    ALL_CLEAN,
    LENGTHS,
    LOGIT_SCALE,
    filled,
    reference_batch,
    reference_model,
    uniform,
    write_checkpoints,
)
from train.blocks.two_stream import merge_heads, split_heads
from train.blocks.visual_sequence import Pictures
from train.systems.vec_mner.correlation_gate import CorrelationGate, soft_pool
from train.systems.vec_mner.released_checkpoint import to_released

VISIBLE = torch.ones((2, 110), dtype=torch.bool)


@pytest.fixture(scope="module")
def weights(tiny_encoder, tmp_path_factory):
    return write_checkpoints(tmp_path_factory.mktemp("reference"), tiny_encoder("bert"))


@pytest.fixture(scope="module")
def upstream(weights):
    return reference_model(weights)


@pytest.fixture(scope="module")
def traced(upstream):
    with torch.no_grad():
        return upstream.trace(reference_batch())


def close(got: Tensor | float, *expected: float, atol: float = 1e-6) -> None:
    got = torch.as_tensor(got, dtype=torch.float64).detach().flatten()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=atol)


def test_inputs_of_the_reference():
    close(uniform("fc.weight", (3,)), 0.113031, -0.402124, -0.048116)
    close(filled("fc.weight", (11, 48))[0, :3], 0.032629, -0.116083, -0.013890)
    images, crops, detector = reference_batch()["images"]
    close(images.flatten()[:3], -0.012604, -0.509641, -0.490080)
    close(crops.flatten()[:3], -1.717835, -1.275868, -0.413453)
    close(detector.flatten()[:3], 0.166848, -1.309918, -0.515755)


def test_parameter_count(upstream):
    """Ours has all 319,543 but for the five unused tensors: pooler, post-norm, position table."""
    unused = 48 * 48 + 48 + 2 * 48 + 50 * 48
    assert sum(t.numel() for t in to_released(upstream.state_dict()).values()) == 319_543 - unused


def test_values_of_the_embeddings(upstream, traced):
    batch = reference_batch()
    with torch.no_grad():
        raw, _ = upstream.pictures(Pictures(tuple(batch["images"]), tuple(batch["present"])))
    close(raw.sum(), 7.846688)
    close(raw.abs().sum(), 7832.142102)
    close(traced.pictures.abs().sum(), 12809.499245)
    close(traced.pictures[0, 1, :3], -0.447224, -0.001025, 0.305327)
    close(traced.text[0][0, 0, :3], -2.196936, 0.298701, 0.366446)


def test_states_of_each_layer(traced):
    sums = [states.abs().sum().item() for states in traced.text]
    close(sums, 1432.651678, 1384.325588, 1395.173981, 1396.467287, 1375.200269)
    close(
        torch.stack([states[1, 3, :3] for states in traced.text]),
        *(-2.459975, 0.138935, 1.696301),
        *(-1.925166, -0.203884, 2.414550),
        *(-2.130358, -0.675029, 2.729011),
        *(-2.117879, -0.347936, 2.641898),
        *(-2.021615, -0.420693, 2.782723),
    )
    close(traced.vision.abs().sum(), 14237.955768)
    close(traced.vision[2, 0, :3], 1.352264, 0.048380, 1.673214)


def test_emissions_and_losses(upstream, traced):
    batch, emissions = reference_batch(), traced.emissions
    close(emissions.sum(), 7.326910)
    close(emissions.abs().sum(), 188.683079)
    close(
        emissions[0, 1],
        *(0.814660, 0.747266, 0.707737, 0.520846, -0.299341, -0.474319, -0.062843, -0.398026),
        *(0.007887, 0.557174, -0.167412),
    )
    close(
        emissions[2, 4],
        *(-0.292232, -0.075915, 0.820613, 0.480238, -0.955775, -1.054036, -0.182081, -0.893510),
        *(-0.998522, -0.016680, 0.320954),
    )
    nll = upstream.crf.nll(emissions, batch["tag_ids"], batch["mask"])
    close(nll, 29.363041, 19.574390, 12.294312)
    output = upstream(batch)
    close(output.parts["crf"], 20.410581)
    close(output.parts["contrastive"], 1.097550)
    close(output.loss, 21.508131)
    assert upstream.crf.viterbi(emissions, batch["mask"])[0] == [
        [0, 0, 2, 2, 9, 9, 3, 3, 3, 9, 9, 9],
        [2, 2, 4, 2, 6, 2, 9, 1],
        [2, 2, 2, 2, 2],
    ]


def test_decoded_tags(upstream):
    """The first and the last position are [CLS] and [SEP]; a [CLS] at a word is an entity."""
    decoded = upstream.decode(reference_batch(), "main")
    assert [len(tags) for tags in decoded] == [length - 2 for length in LENGTHS]
    assert decoded[0] == [
        *("I-CLS]", "B-MISC", "B-MISC", "I-LOC", "I-LOC"),
        *("I-MISC", "I-MISC", "I-MISC", "I-LOC", "I-LOC"),
    ]


def test_float32_agrees_with_float64(upstream, traced, weights):
    emissions = reference_model(weights).float().trace(reference_batch()).emissions
    torch.testing.assert_close(emissions.double(), traced.emissions, rtol=0, atol=1e-5)


def test_gradients(weights):
    model = reference_model(weights)
    model.contrast.logit_scale.requires_grad_(True)
    model(reference_batch()).loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    close(model.contrast.logit_scale.grad, -3.078750e-4, atol=1e-10)
    norms = {name: grad.norm().item() for name, grad in grads.items()}
    close(norms["head.weight"], 9.978024)
    close(norms["crf.transitions"], 2.041182)
    close(norms["crf.start_transitions"], 0.852754)
    close(norms["text_embeddings.word_embeddings.weight"], 5.512335)
    close(norms["pictures.patch_embedding.weight"], 1.432273)
    close(norms["pictures.class_embedding"], 0.007274)
    close(norms["stack.gate.excitation.weight"], 1.529238e-5, atol=1e-11)
    close(norms["stack.gate.increase.weight"], 2.695101e-6, atol=1e-11)
    close(norms["stack.vision.3.self_attn.k_proj.weight"], 9.980284e-3, atol=1e-9)
    close(norms["stack.vision.3.mlp.fc2.weight"], 4.201418e-2, atol=1e-8)
    total = torch.stack([grad.norm() for grad in grads.values()]).norm()
    close(total, 16.445622)


def gate(**changes) -> CorrelationGate:
    """The reference's module on its own."""
    options = {"gate": "softmax", "pooling": "cross_position", **changes}
    module = CorrelationGate(110, **options).double()
    start = "ifa_model.encoder.corr_aware_module.v2t_attn."
    for name, parameter in module.named_parameters():
        theirs = name.replace("excitation", "excitation.0").replace("increase", "incr")
        parameter.data = filled(start + theirs, tuple(parameter.shape))
    return module


def test_values_of_the_gate_alone():
    keys = 3 * uniform("ca_in", (2, 12, 110, 4))
    states = merge_heads(keys)
    scaled = split_heads(gate()(states, VISIBLE), 12)
    close(scaled.abs().sum(), 72.166527)
    close(scaled[1, 3, 7], 0.0076859, -0.0100581, -0.0077578, 0.0001063, atol=6e-8)
    pooled = soft_pool(states, VISIBLE, "cross_position")
    close(pooled[0, :4], 0, 0.0176955, 0.3010434, 0, atol=6e-8)
    assert (pooled == 0).double().mean().item() == pytest.approx(0.45, abs=0.01)


VARIANTS = {
    # switches: em[0,1,:3], sum of abs, contrastive plain and with padding masked in pooling,
    # change on 8 more pads, change when samples 0 and 2 swap all images
    "upstream": (
        {},
        (0.814660, 0.747266, 0.707737, 188.683079, 1.097550, 1.104266),
        (2.6e-4, 1.15e-3),
    ),
    "no bias": (
        {"visual_score_bias": 0.0},
        (0.817703, 0.741348, 0.713769, 189.215765, 1.097697, 1.104438),
        (2.5e-4, 1.14e-3),
    ),
    "text masked": (
        {"mask_text_padding": True},
        (0.814660, 0.747266, 0.707737, 188.686709, 1.098219, 1.104581),
        (0, 1.16e-3),
    ),
    "sigmoid": (
        {"gate": "sigmoid"},
        (0.802071, 0.759850, 0.689968, 189.479528, 1.098482, 1.104752),
        (1.4e-2, 5.84e-2),
    ),
    "standard soft pool": (
        {"soft_pool": "standard"},
        (0.814661, 0.747274, 0.707742, 188.683296, 1.097550, 1.104266),
        (2.6e-4, 1.16e-3),
    ),
    "clean": (
        ALL_CLEAN,
        (0.802587, 0.755429, 0.697229, 190.149409, 1.099612, 1.105827),
        (0, 5.79e-2),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_values_under_each_switch(weights, name):
    switches, numbers, (padded, swapped) = VARIANTS[name]
    model, batch = reference_model(weights, **switches), reference_batch()
    trace = model.trace(batch)
    emissions, mask = trace.emissions, batch["mask"]
    close([*emissions[0, 1, :3].tolist(), emissions.abs().sum().item()], *numbers[:4])
    pictures = (trace.vision, trace.picture_mask)
    close(model.contrast(trace.text[-1], torch.ones_like(mask), *pictures), numbers[4])
    close(model.contrast(trace.text[-1], mask, *pictures), numbers[5])
    longer = model.trace(reference_batch(8)).emissions[:, :12]
    change = (longer - emissions)[mask].abs().max().item()
    assert change == pytest.approx(padded, rel=0.05, abs=1e-14)
    batch["images"] = [images[[2, 1, 0]] for images in batch["images"]]
    change = (model.trace(batch).emissions - emissions)[mask].abs().max().item()
    assert change == pytest.approx(swapped, rel=0.01)


def test_the_constant_scale(upstream):
    assert upstream.contrast.logit_scale.item() == LOGIT_SCALE
