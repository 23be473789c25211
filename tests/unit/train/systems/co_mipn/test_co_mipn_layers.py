"""Co-MIPN's layers against small exact facts."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from tests.builders.train.published_recipes import published_recipe
from train.blocks.crf import LinearChainCRF
from train.blocks.paired_contrast import PairedContrast, info_nce
from train.systems.co_mipn.dynamic_similarity import (
    filter_all_pairs,
    filter_by_index,
    pool_positions,
)
from train.systems.co_mipn.image_prompts import GatedPrompts, LevelPrompts
from train.systems.co_mipn.prompt_attention import attend, mask_to_heads, to_heads
from train.systems.co_mipn.text_branches import TextBranches
from train.training.optim import rate_factor


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_windows_of_the_position_pooling():
    eye = torch.eye(197, dtype=torch.float64)[None, None]
    pooled = pool_positions(eye, 192)[0, 0]  # row i: the weight of each token
    windows = {i: row.nonzero().flatten().tolist() for i, row in enumerate(pooled)}
    expected = {0: (0, 2), 1: (1, 3), 37: (37, 39), 38: (38, 41), 39: (40, 42)}
    expected |= {190: (194, 196), 191: (195, 197)}
    for i, (start, stop) in expected.items():
        assert windows[i] == list(range(start, stop))
    assert [i for i, window in windows.items() if len(window) == 3] == [38, 76, 115, 153]
    assert torch.allclose(pooled.sum(1), torch.ones(192, dtype=torch.float64))


def gated_rows(tokens: torch.Tensor, bias=(0.0, 0.0, 0.0, 0.0)):
    """Return the rows of one layer whose gate ignores the image."""
    prompts = GatedPrompts(length=tokens.shape[2], dim=tokens.shape[3], n_layers=1).double()
    torch.nn.init.zeros_(prompts.gates[0].weight)
    prompts.gates[0].bias.data = torch.tensor(bias, dtype=torch.float64)
    return next(iter(prompts(tokens)))


def numbered_tokens() -> torch.Tensor:
    """Return one image of 192 positions of 8 channels, position i filled with i."""
    return torch.arange(192.0, dtype=torch.float64)[None, None, :, None].expand(1, 1, 192, 8)


def test_rows_under_equal_gates():
    rows = gated_rows(numbered_tokens())
    assert rows.key.shape == rows.value.shape == (1, 24, 8) and rows.query.shape == (1, 48, 8)
    for row, key, value in [(0, 3, 4), (23, 187, 188)]:
        assert (rows.key[0, row] - key).abs().max() < 1e-12
        assert (rows.value[0, row] - value).abs().max() < 1e-12
    for row, query in [(0, 1.5), (47, 189.5)]:
        assert (rows.query[0, row] - query).abs().max() < 1e-12


@pytest.mark.parametrize("n_rows", [48, 96, 192])
def test_raw_layout_deals_rows_to_heads(n_rows):
    rows = randn(2, n_rows, 768)
    dealt = to_heads(rows, 12, "raw")
    assert torch.equal(dealt, rows.reshape(2, 12, n_rows, 64))
    for b, h, p in [(0, 0, 0), (1, 5, 7), (0, 11, n_rows - 1), (1, 3, 13)]:
        row, part = n_rows // 12 * h + p // 12, 64 * (p % 12)
        assert torch.equal(dealt[b, h, p], rows[b, row, part : part + 64])
    for image in range(4):
        emptied = rows.clone()
        emptied[:, image * n_rows // 4 : (image + 1) * n_rows // 4] = 0
        changed = (to_heads(emptied, 12, "raw") != dealt).flatten(2).any(2).any(0)
        assert changed.nonzero().flatten().tolist() == [3 * image, 3 * image + 1, 3 * image + 2]


@pytest.mark.parametrize("layout", ["raw", "split"])
def test_mask_follows_the_rows_to_the_heads(layout):
    present = torch.tensor([[True, False, True, True], [False, True, False, True]])
    of_rows = present.repeat_interleave(6, dim=1)  # shape: (2, 24)
    rows = of_rows[:, :, None].expand(-1, -1, 32).float()
    expected = to_heads(rows, 4, layout)
    assert torch.equal(expected.amin(3), expected.amax(3))
    assert torch.equal(mask_to_heads(of_rows, 4, layout), expected[..., 0].bool())


def test_split_head_layout_is_the_usual_one():
    rows = randn(2, 5, 12)
    dealt = to_heads(rows, 4, "split")
    assert all(torch.equal(dealt[:, h], rows[:, :, 3 * h : 3 * h + 3]) for h in range(4))


def test_which_tokens_a_row_of_the_levels_holds():
    levels = torch.arange(650.0).view(13, 1, 50, 1).expand(13, 1, 50, 768)
    prompts = LevelPrompts(size=650 * 768, rows=12, hidden=1, n_layers=1, dim=1)
    rows = prompts.cut(tuple(levels))
    assert rows.shape == (1, 12, 41600)
    first = [0, 54, 108, 162, 216, 270, 325, 379, 433, 487, 541, 595]
    last = [54, 108, 162, 216, 270, 324, 379, 433, 487, 541, 595, 649]
    assert rows[0, :, 0].tolist() == first and rows[0, :, -1].tolist() == last


def test_columns_of_the_projection_are_layers_then_keys_and_values():
    prompts = LevelPrompts(size=24, rows=2, hidden=3, n_layers=4, dim=5).double()
    levels = tuple(randn(3, 6, 2, seed=seed) for seed in (1, 2))
    flat = prompts.network(prompts.cut(levels))
    found = prompts(levels)
    assert found.shape == (3, 2, 4, 2, 5)
    for layer, side in itertools.product(range(4), range(2)):
        start = 10 * layer + 5 * side
        assert torch.equal(found[:, :, layer, side], flat[:, :, start : start + 5])


def pairings(pooled: torch.Tensor, text: torch.Tensor) -> list[torch.Tensor]:
    visible = torch.ones(text.shape[:2], dtype=torch.bool)
    return [
        filter_by_index(pooled, text, None),
        filter_by_index(pooled, text, visible),
        filter_all_pairs(pooled, text, visible),
    ]


def test_similarity_filter_at_its_extremes():
    pooled = randn(2, 1, 6, 8)
    for found in pairings(pooled, pooled[:, 0]):
        assert (found - pooled).abs().max() < 1e-12
    for found in pairings(pooled, -pooled[:, 0])[:2]:
        assert (found == 0).all()
    alike = pooled[:, :, :1].expand_as(pooled)  # all pieces point away from all positions
    assert (filter_all_pairs(alike, -alike[:, 0], torch.ones(2, 6, dtype=torch.bool)) == 0).all()
    nothing = torch.zeros_like(pooled).requires_grad_()
    for found in pairings(nothing, randn(2, 6, 8, seed=1)):
        assert (found == 0).all()
        found.sum().backward()
        assert torch.isfinite(nothing.grad).all()


def test_all_pairs_by_hand_and_only_with_visible_pieces():
    pooled, text = randn(2, 3, 6, 8), randn(2, 5, 8, seed=1)
    visible = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    found = filter_all_pairs(pooled, text, visible)
    for b, image, i in itertools.product(range(2), range(3), range(6)):
        v, pieces = pooled[b, image, i], text[b][visible[b]]
        best = max(float(v @ t / (v.norm() * t.norm())) for t in pieces)
        assert (found[b, image, i] - max(0.0, best) * v).abs().max() < 1e-12


def test_index_pairing_beyond_the_text_is_silent():
    pooled, text = randn(2, 3, 6, 8), randn(2, 6, 8, seed=1)
    visible = torch.tensor([[1, 1, 1, 0, 0, 0], [1] * 6], dtype=torch.bool)
    masked, whole = filter_by_index(pooled, text, visible), filter_by_index(pooled, text, None)
    assert torch.equal(masked[1], whole[1]) and torch.equal(masked[0, :, :3], whole[0, :, :3])
    assert (masked[0, :, 3:] == 0).all()
    assert torch.equal(filter_by_index(pooled, text[:, :3], None)[:, :, 3:], pooled[:, :, 3:] * 0)


def branch_gate(tiny_encoder, squash: bool) -> TextBranches:
    from train.blocks.text_encoder import TextEncoder

    model = TextEncoder(tiny_encoder("bert"), pretrained=True).model
    return TextBranches(model, squash=squash, keep_unused=False).double()


def test_branch_gate_keeps_within_its_bounds(tiny_encoder):
    branches = branch_gate(tiny_encoder, True)
    states = [100 * randn(2, 5, 32, seed=seed) for seed in range(4)]
    shares, _ = branches.mix(states)
    assert shares.min() > 0.15536 and shares.max() < 0.57612
    assert shares.min() < 0.156 and shares.max() > 0.575  # and nearly reached
    torch.nn.init.zeros_(branches.gate.weight)
    torch.nn.init.zeros_(branches.gate.bias)
    _, mixture = branches.mix(states)
    expected = sum(states[:3]) / 3 + 0.005 * states[3]
    assert (mixture - expected).abs().max() < 1e-12


def test_raw_branch_gate_can_switch_a_branch_off(tiny_encoder):
    branches = branch_gate(tiny_encoder, False)
    shares, _ = branches.mix([100 * randn(2, 5, 32, seed=seed) for seed in range(4)])
    assert shares.min() < 1e-6 and shares.max() > 1 - 1e-6


def test_contrastive_loss_of_known_pairs():
    eye = torch.eye(2, dtype=torch.float64)
    assert info_nce(eye, eye, 0.179).item() == pytest.approx(0.00748154, abs=6e-9)
    assert info_nce(randn(1, 3), randn(1, 3, seed=1), 0.179).item() == 0
    left, right = randn(5, 3), randn(5, 3, seed=1)
    scores, truth = left @ right.T / 0.3, torch.arange(5)
    expected = functional.cross_entropy(scores, truth) + functional.cross_entropy(scores.T, truth)
    assert (info_nce(left, right, 0.3) - expected).abs() < 1e-12


def test_contrast_leaves_out_pairs_without_image():
    heads = PairedContrast(vision_dim=6, text_dim=4, dim=3, temperature=0.5, normalized=True)
    heads, vision, text = heads.double(), randn(4, 6), randn(4, 4, seed=1)
    present = torch.tensor([True, False, True, True])
    alone = heads(vision[present], text[present], torch.ones(3, dtype=torch.bool))
    assert torch.equal(heads(vision, text, present), alone) and alone > 0
    none = heads(vision, text, torch.zeros(4, dtype=torch.bool))
    assert none == 0
    none.backward()
    assert all((p.grad == 0).all() for p in heads.parameters())


def test_crf_without_scores_counts_paths():
    crf = LinearChainCRF(13).double()
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    emissions, mask = torch.zeros(1, 30, 13).double(), torch.ones(1, 30, dtype=torch.bool)
    nll = crf.nll(emissions, torch.full((1, 30), 5), mask).item()
    assert nll == pytest.approx(76.948481, abs=5e-7)
    crf = LinearChainCRF(3, init="normal").double()
    emissions, mask = randn(1, 4, 3), mask[:, :4]
    paths = [torch.tensor([path]) for path in itertools.product(range(3), repeat=4)]
    total = torch.cat([crf.score(emissions, path, mask) for path in paths]).logsumexp(0)
    for path in paths[::7]:
        expected = total - crf.score(emissions, path, mask)
        assert (crf.nll(emissions, path, mask) - expected).abs() < 1e-12


def test_activations_of_the_gates():
    bias = (-4.0, -1.0, 1.0, 4.0)
    assert functional.hardswish(torch.tensor([-4.0, -1, 0, 1, 4]).double()).tolist() == (
        pytest.approx([0, -1 / 3, 0, 2 / 3, 4], abs=1e-12)
    )
    rows = gated_rows(numbered_tokens(), bias)
    for scores, found, places in [
        ([0, -1 / 3, 2 / 3, 4], rows.key[0, 0, 0], (0, 2, 4, 6)),
        ([0, -1 / 3, 2 / 3, 4], rows.value[0, 0, 0], (1, 3, 5, 7)),
        ([-0.04, -0.01, 1, 4], rows.query[0, 0, 0], (0, 1, 2, 3)),
    ]:
        weights = [math.exp(score) for score in scores]
        mean = sum(w * p for w, p in zip(weights, places, strict=True)) / sum(weights)
        assert found.item() == pytest.approx(mean, abs=1e-12)


def test_rate_at_steps_of_the_schedule():
    recipe = published_recipe("co_mipn")
    expected = {0: 0, 75: 0.5, 150: 1, 7575: 0.5, 15000: 0}
    for step, factor in expected.items():
        assert rate_factor(step, 15000, recipe) == pytest.approx(factor, abs=1e-12)


def test_attention_by_hand_and_over_nothing():
    query, key, value = randn(2, 3, 4, 5), randn(2, 3, 6, 5, seed=1), randn(2, 3, 6, 5, seed=2)
    query.requires_grad_()
    visible = torch.rand(2, 3, 6, generator=torch.Generator().manual_seed(3)) < 0.6
    visible[0, 1] = False
    visible[1, 2] = True
    found = attend(query, key, value, visible, 0.0)
    for b, h in itertools.product(range(2), range(3)):
        seen = visible[b, h]
        if not seen.any():
            assert (found[b, h] == 0).all()
            continue
        weights = (query[b, h] @ key[b, h, seen].T / math.sqrt(5)).softmax(1)
        assert (found[b, h] - weights @ value[b, h, seen]).abs().max() < 1e-12
    found.sum().backward()
    assert torch.isfinite(query.grad).all() and (query.grad[0, 1] == 0).all()
