"""Parts of ACN, VEC-MNER and Co-MIPN that an ablation takes out: the rest still does its work."""

import pytest
import torch

from extract.core.errors import ConfigError
from extract.core.options import options_from
from extract.words.image_text import ContextOptions
from tests.builders.train import co_mipn_tiny, ita_tiny, vec_mner_reference
from tests.builders.train.acn_tiny import double, examples, small_model
from tests.unit.train.systems.vec_mner.test_hybrid_stack import MASK, encoder, run, stack, tower
from train.blocks.two_stream import text_projections, text_update
from train.systems.acn.co_attention import MergedAttention
from train.systems.acn.gates import FiltrationGate, GatedFusion
from train.systems.co_mipn.dynamic_similarity import DynamicSimilarity, pool_positions
from train.systems.co_mipn.options import Options
from train.systems.co_mipn.prompt_attention import BRANCHES
from train.systems.co_mipn.text_branches import UNGATED_WEIGHT, TextBranches
from train.systems.vec_mner import model as vec_mner
from train.systems.vec_mner import options as vec_mner_options


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ACN


def test_mean_attention_averages_what_is_there():
    keys, queries = randn(2, 6, 4), randn(2, 3, 4, seed=1)
    attention = MergedAttention(4, "mean")
    assert not list(attention.parameters())
    attended, weights = attention(queries, keys, MASK)
    expected = torch.stack([row[mask].mean(0) for row, mask in zip(keys, MASK, strict=True)])
    torch.testing.assert_close(attended, expected[:, None])
    assert (weights[~MASK[:, None]] == 0).all()


def test_fusion_without_gate_is_the_middle():
    fusion = GatedFusion(4, gated=False).double()
    visual, textual = randn(2, 1, 4), randn(2, 5, 4, seed=1)
    mixture, gate = fusion(visual, textual)
    sides = torch.tanh(fusion.visual(visual)), torch.tanh(fusion.textual(textual))
    torch.testing.assert_close(mixture, (sides[0] + sides[1]) / 2)
    assert gate.shape == (2, 5, 1) and (gate == 0.5).all()


def test_open_filtration_lets_all_pass_but_no_absent_image():
    gate = FiltrationGate(4, 3, "open").double()
    text, mixture = randn(2, 5, 4), randn(2, 1, 4, seed=1)
    emissions, shares = gate(text, mixture, torch.tensor([True, False]))
    passed = (
        torch.tanh(gate.reserve(mixture)).expand(-1, 5, -1)
        * torch.tensor([1.0, 0.0])[:, None, None]
    )
    torch.testing.assert_close(emissions, gate.output(torch.cat([text, passed], dim=-1)))
    assert (shares == 1).all()


@pytest.mark.parametrize("merge", ["concat", "add"])
@pytest.mark.parametrize(
    "changes",
    [
        {"averaged": ("regions",)},
        {"averaged": ("words",)},
        {"averaged": ("regions", "words")},
        {"fusion_gate": False},
        {"filtration": "open"},
        {"averaged": ("regions", "words"), "fusion_gate": False, "filtration": "open"},
    ],
)
def test_acn_without_a_part_trains_all_that_is_left(merge, changes):
    model = small_model(attention_merge=merge, **changes)
    batch = double(model.collate(examples(5, 3)))
    trace = model.trace(batch)
    width = batch["mask"].shape[1]
    assert trace.mixture.shape[:2] == trace.visual_weights.shape[:2] == (2, width)
    model(batch).loss.backward()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    assert [n for n, p in trained if p.grad is None or not p.grad.abs().sum() > 0] == []
    grouped = [p for group in model.parameter_groups().values() for p in group]
    assert len(grouped) == len(trained)
    averaged = changes.get("averaged", ())
    for side, name in ((trace.visual_weights, "regions"), (trace.textual_weights, "words")):
        spread = [
            row[row > 0].std() if (row > 0).sum() > 1 else row.sum() * 0 for row in side[:, 0]
        ]
        assert all(s < 1e-12 for s in spread) == (name in averaged)


# VEC-MNER


def streams(**changes):
    torch.manual_seed(0)
    model = stack(**changes)
    return model, torch.randn(2, 6, 24), torch.randn(2, 9, 24)


def test_without_the_correlation_gate_text_reads_the_plain_keys():
    model, text, vision = streams(gate="none")
    assert not [name for name, _ in model.named_parameters() if name.startswith("gate.")]
    gated, _, _ = streams()
    gated.load_state_dict(model.state_dict(), strict=False)
    assert not torch.allclose(run(model, text, vision).text[-1], run(gated, text, vision).text[-1])
    gated.gate.gates = lambda states, mask: torch.ones_like(mask, dtype=states.dtype)
    for plain, opened in zip(
        run(model, text, vision).text, run(gated, text, vision).text, strict=True
    ):
        torch.testing.assert_close(plain, opened)


def test_with_fusion_alone_the_aligning_layer_sees_its_own_stream():
    model, text, vision = streams(interaction="fuse")
    # No mixing in the uni-modal layer below: each piece is what it was.
    model.text[0].attention.self.value.weight.data.zero_()
    other = text.clone()
    other[0, 3] = torch.randn(24)
    # Aligned, the first piece sees pictures alone; fused, it sees the changed piece too.
    for interaction, is_seen in (("fuse", True), ("align_and_fuse", False)):
        model.interaction = interaction
        before, after = (run(model, t, vision).text[1][0, 0] for t in (text, other))
        assert torch.allclose(before, after, atol=1e-6) != is_seen
    assert all(p.requires_grad for p in streams(interaction="fuse")[0].parameters())


def test_with_alignment_alone_upper_layers_are_those_of_the_encoder():
    model, text, vision = streams(interaction="align")
    states = run(model, text, vision).text
    bias = torch.zeros(2, 6).masked_fill(~MASK, -torch.inf)
    layer = model.text[2]
    expected = text_update(layer, states[1], *text_projections(layer, states[1], bias))
    torch.testing.assert_close(states[2], expected)
    full, _, _ = streams()
    full.load_state_dict(model.state_dict())
    published = run(full, text, vision).text
    torch.testing.assert_close(states[1], published[1])
    assert not torch.allclose(states[2], published[2])


@pytest.mark.parametrize("interaction", ["align_and_fuse", "fuse", "align"])
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("reads_vision", [True, False])
def test_what_is_left_to_train_gets_a_gradient(interaction, layers, reads_vision):
    torch.manual_seed(0)
    text, vision = (
        encoder(num_hidden_layers=layers),
        tower(num_hidden_layers=layers, hidden_size=32),
    )
    model = stack(text, vision, interaction=interaction, reads_vision=reads_vision).train()
    inputs = torch.randn(2, 6, 24), torch.randn(2, 9, 32)
    states = run(model, *inputs, finish_vision=reads_vision)
    loss = states.text[-1].sum() + states.text[-1].square().sum()
    if reads_vision:
        loss = loss + states.vision.square().sum()
    loss.backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_an_unknown_interaction_is_refused():
    with pytest.raises(ValueError, match="align_and_fuse, fuse, align"):
        stack(interaction="none")


# Co-MIPN


def test_without_similarity_every_position_weighs_the_same():
    module = DynamicSimilarity(vision_dim=4, text_dim=6, dim=8, length=8, pairing="off").double()
    patches, states = randn(2, 3, 10, 4), randn(2, 5, 6, seed=1)
    mask = torch.ones(2, 5, dtype=torch.bool)
    filtered, _ = module(patches, states, mask, mask_padding=True)
    torch.testing.assert_close(filtered, pool_positions(module.vision(patches), 8))
    assert not any(p.requires_grad for p in module.text.parameters())


@pytest.mark.parametrize("names", [("memory",), ("query", "prefix"), ("prefix", "query_prefix")])
def test_branches_that_are_left_share_the_mixture(names):
    branches = TextBranches(encoder(), squash=True, keep_unused=False, names=names).double()
    assert len(branches.encoders) == len(names)
    assert [e.kind for e in branches.encoders] == [BRANCHES[name] for name in names]
    states = [randn(2, 5, 24, seed=i) for i in range(len(names))]
    shares, mixture = branches.mix(states)
    gated = [s for name, s in zip(names, states, strict=True) if name != "query_prefix"]
    torch.testing.assert_close(shares.sum(2), torch.ones(2, 5, dtype=torch.float64))
    expected = sum(shares[..., i : i + 1] * s for i, s in enumerate(gated))
    if "query_prefix" in names:
        expected = expected + UNGATED_WEIGHT * states[-1]
    torch.testing.assert_close(mixture, expected)


@pytest.mark.parametrize("branches", [[], ["query_prefix"]])
def test_a_mixture_needs_a_gated_branch(branches):
    with pytest.raises(ConfigError, match="branches: expected one besides query_prefix"):
        options_from(Options, {"branches": branches}, "options")


# Whole systems on tiny networks


def train_and_decode(model, group) -> None:
    """Check one backward pass over all that is trained, and the number of tags."""
    model.train()(model.collate(group)).loss.backward()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    assert [n for n, p in trained if p.grad is None or not p.grad.isfinite().all()] == []
    with torch.no_grad():
        tags = model.eval().decode(model.collate(group), model.views[0])
    assert [len(row) for row in tags] == [len(example.sample.tokens) for example in group]


@pytest.mark.parametrize(
    "changes",
    [
        {"gate": "none"},
        {"interaction": "fuse"},
        {"interaction": "align"},
        {"n_crops": 0},
        {"n_crops": 0, "n_detector_crops": 0},
    ],
)
def test_vec_mner_without_a_part(tiny_encoder, tmp_path, changes):
    weights = vec_mner_reference.write_checkpoints(tmp_path, tiny_encoder("bert"), vocab_size=200)
    options = vec_mner_options.Options(**changes)
    model = vec_mner.Model(options, vec_mner_reference.VOCABULARY, weights, pretrained=False)
    assert set(model.required_features(options)) == {kind.name for kind in model.pictures.kinds}
    train_and_decode(model, vec_mner_reference.examples())


@pytest.mark.parametrize(
    "changes",
    [
        {"similarity": "off"},
        {"contrastive": "off"},
        {"branches": ("prefix",)},
        {"branches": ("query",)},
        {"branches": ("memory", "query", "query_prefix")},
    ],
)
def test_co_mipn_without_a_part(tiny_encoder, tmp_path, changes):
    folders = co_mipn_tiny.write_checkpoints(tmp_path, tiny_encoder("bert"))
    model = co_mipn_tiny.build(folders, **changes)
    group = co_mipn_tiny.examples()
    train_and_decode(model, group)
    assert len(model.branches.encoders) == len(changes.get("branches", BRANCHES))


def test_ita_without_any_image_words(tiny_encoder):
    folder = tiny_encoder("bert")
    model = ita_tiny.build(folder, context=ContextOptions(use=()), cva=False)
    assert model.required_features(model.options) == {}
    group = ita_tiny.examples()
    train_and_decode(model, group)
    batch = model.collate(group)
    assert not batch["has_context"].any()
    assert model.decode(batch, "mm") == model.decode(batch, "text")
