"""ACN: shapes, counts, invariances and options."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from extract.core.errors import ConfigError, DataError, ShapeError
from extract.core.options import options_from
from tests.builders.train.acn_tiny import (
    SMALL,
    TYPES,
    double,
    example,
    examples,
    numbered_vocabulary,
    small_model,
)
from train.systems.acn.co_attention import MergedAttention
from train.systems.acn.gates import FiltrationGate
from train.systems.acn.model import Model
from train.systems.acn.options import Options
from train.systems.base import count_parameters


def emissions_of(model: Model, batch: dict) -> list[torch.Tensor]:
    """Return the emissions of the real tokens of each sample."""
    emissions = model(batch).emissions.detach()
    return [row[mask] for row, mask in zip(emissions, batch["mask"], strict=True)]


def pad_more(batch: dict, words: int, chars: int) -> dict:
    """Append padding, with arbitrary ids where a mask says that nothing is there."""
    more_words, more_chars = (0, words), (0, chars, 0, words)
    is_char = torch.arange(batch["char_ids"].shape[2] + chars)
    lengths = functional.pad(batch["char_lengths"], more_words)
    char_ids = functional.pad(batch["char_ids"], more_chars)
    mask = functional.pad(batch["mask"], more_words)
    return {
        **batch,
        "word_ids": functional.pad(batch["word_ids"], more_words).masked_fill(~mask, 3),
        "char_ids": char_ids.masked_fill(is_char >= lengths[..., None], 4),
        "char_lengths": lengths,
        "mask": mask,
        "tag_ids": functional.pad(batch["tag_ids"], more_words).masked_fill(~mask, 2),
    }


# Shapes and counts


@pytest.mark.parametrize("merge", ["concat", "add"])
@pytest.mark.parametrize("upstream", [True, False])
def test_shapes_of_everything_computed(merge, upstream):
    preset = Options.upstream if upstream else Options
    options = preset(attention_merge=merge, max_tokens=35, max_chars=30, pad_to_caps=True)
    model = Model(options, numbered_vocabulary(50, 20)).eval()
    batch = model.collate(examples(35, 9, 1, 14, regions=49, channels=512))
    trace = model.trace(batch)
    n_tags = 11 if upstream else 9
    assert trace.chars.shape == (4, 35, 50)
    assert trace.states.shape == (4, 35, 200)
    assert trace.regions.shape == (4, 49, 200)
    for tensor in (trace.visual, trace.textual, trace.mixture):
        assert tensor.shape == (4, 35, 200)
    assert trace.visual_weights.shape == (4, 35, 49)
    assert trace.textual_weights.shape == (4, 35, 35)
    assert trace.emissions.shape == (4, 35, n_tags)
    x = torch.zeros(1, 30, 30)
    assert [conv(x).shape[2] for conv in model.char_cnn.convolutions] == [31, 30, 31]


def test_parameter_counts_at_published_size():
    model = Model(Options.upstream(), numbered_vocabulary(23204, 102))
    assert count_parameters(model) == 5_418_904
    assert count_parameters(model) - model.word_table.weight.numel() == 778_104
    assert len(model.state_dict()) == 50
    dead = [p.numel() for p in model.parameters() if not p.requires_grad]
    assert sum(dead) == 80_402 and len(dead) == 6


@pytest.mark.parametrize(("upstream", "n_tags"), [(True, 11), (False, 9)])
@pytest.mark.parametrize(("merge", "fewer"), [("concat", 0), ("add", 400)])
def test_parameter_count_follows_its_formula(upstream, n_tags, merge, fewer):
    options = Options(attention_merge=merge, upstream_tags=upstream)
    total = count_parameters(Model(options, numbered_vocabulary(300, 40)))
    expected = 770_490 + 30 * 40 + 200 * 300 + n_tags**2 + 403 * n_tags
    assert total == expected - fewer


def test_the_loss_starts_at_that_of_guessing():
    """ln 11 = 2.40 a token before anything is learned."""
    torch.manual_seed(7)
    model = Model(Options.upstream(), numbered_vocabulary(200, 60)).eval()
    batch = model.collate(examples(14, 12, 9, 16, regions=49, channels=512))
    per_token = model(batch).loss.item() * 4 / batch["mask"].sum().item()
    assert per_token == pytest.approx(math.log(11), abs=0.05)


# Invariances


@pytest.mark.parametrize("merge", ["concat", "add"])
@pytest.mark.parametrize("filtration", ["scalar", "vector", "fused-only"])
def test_more_padding_changes_nothing(merge, filtration):
    model = small_model(attention_merge=merge, filtration=filtration)
    batch = double(model.collate(examples(14, 5, 1)))
    more = pad_more(batch, words=4, chars=5)
    for a, b in zip(emissions_of(model, batch), emissions_of(model, more), strict=True):
        assert (a - b).abs().max() < 1e-12
    assert abs(model(batch).loss - model(more).loss) < 1e-12


@pytest.mark.parametrize("merge", ["concat", "add"])
def test_batching_changes_nothing(merge):
    model, group = small_model(attention_merge=merge), examples(14, 5, 1, 9)
    together = emissions_of(model, double(model.collate(group)))
    turned = emissions_of(model, double(model.collate(group[::-1])))[::-1]
    alone = [emissions_of(model, double(model.collate([one])))[0] for one in group]
    for a, b, c in zip(together, turned, alone, strict=True):
        assert (a - b).abs().max() < 1e-12
        assert (a - c).abs().max() < 1e-12
    losses = [model(double(model.collate(part))).loss for part in (group, group[:1], group[1:])]
    assert abs(losses[0] - (losses[1] + 3 * losses[2]) / 4) < 1e-12


@pytest.mark.parametrize(
    "changes",
    [
        {"mask_text_attention": False},
        {"pack": False, "zero_pad_rows": False},
        {"masked_char_max": False, "zero_pad_rows": False},
        {"upstream": True, "pad_to_caps": False},
    ],
    ids=["text attention", "packing", "characters", "upstream"],
)
def test_each_switch_of_the_released_code_lets_padding_in(changes):
    model = small_model(**changes)
    batch = double(model.collate(examples(14, 5, 1)))
    more = pad_more(batch, words=4, chars=5)
    pairs = zip(emissions_of(model, batch), emissions_of(model, more), strict=True)
    assert max((a - b).abs().max() for a, b in pairs) > 1e-6


@pytest.mark.parametrize(("upstream", "sees_it"), [(True, False), (False, True)])
def test_the_released_pooling_ignores_the_last_character(upstream, sees_it):
    """With 30 characters the 30th has no effect; the repaired maximum sees it."""
    model = small_model(upstream=upstream, max_chars=30)
    with torch.no_grad():  # large and opposite, so that either wins or loses the maximum
        model.char_cnn.table.weight[3] = 5
        model.char_cnn.table.weight[4] = -5
    one = torch.full((1, 1, 30), 2)
    other = one.clone()
    one[..., -1], other[..., -1] = 3, 4
    vectors = [model.char_cnn(ids, torch.tensor([[30]])) for ids in (one, other)]
    assert bool((vectors[0] - vectors[1]).abs().max() > 1e-9) is sees_it


@pytest.mark.parametrize("merge", ["concat", "add"])
def test_regions_have_no_order(merge):
    model = small_model(attention_merge=merge)
    batch = double(model.collate(examples(14, 5)))
    turned = {**batch, "image": batch["image"][:, [2, 0, 3, 1]]}
    assert (model(batch).emissions - model(turned).emissions).abs().max() < 1e-12


def literal_attention(attention, queries, keys, mask=None):
    """The published formula, every (query, key) pair materialised."""
    shape = (queries.shape[0], queries.shape[1], keys.shape[1], keys.shape[2])
    query = attention.query(queries)[:, :, None].expand(shape)
    key = attention.key(keys)[:, None].expand(shape)
    scores = attention.score(torch.tanh(torch.cat([query, key], dim=-1))).squeeze(-1)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None], -torch.inf)
    return scores.softmax(dim=-1)


def test_separable_attention_equals_the_literal_form():
    model = small_model()
    batch = double(model.collate(examples(14, 5)))
    trace = model.trace(batch)
    alpha = literal_attention(model.visual_attention, trace.states, trace.regions)
    beta = literal_attention(model.textual_attention, trace.visual, trace.states, batch["mask"])
    assert (alpha - trace.visual_weights).abs().max() < 1e-12
    assert (beta - trace.textual_weights).abs().max() < 1e-12
    # The degeneracy itself, on the literal form: all words share one attention.
    assert (alpha - alpha[:, :1]).abs().max() < 1e-12
    assert (beta - beta[:, :1]).abs().max() < 1e-12
    assert alpha.std(dim=2).min() > 1e-6


@pytest.mark.parametrize("side", ["visual", "textual"])
def test_tensors_that_cancel_have_no_gradient(side):
    model = small_model()
    batch = double(model.collate(examples(14, 5)))
    trace = model.trace(batch)
    inputs = {
        "visual": (trace.states, trace.regions, None),
        "textual": (trace.visual, trace.states, batch["mask"]),
    }
    queries, keys, mask = inputs[side]
    attention = model.get_submodule(f"{side}_attention").requires_grad_(True)
    weights = literal_attention(attention, queries.detach(), keys.detach(), mask)
    (weights * torch.randn_like(weights)).mean().backward()
    for gradient in (
        attention.query.weight.grad,
        attention.query.bias.grad,
        attention.score.bias.grad,
        attention.score.weight.grad[:, : keys.shape[2]],
    ):
        assert gradient.abs().max() < 1e-15
    assert attention.key.weight.grad.abs().max() > 1e-6


def test_concat_attends_alike_for_all_words():
    model = small_model()
    batch = double(model.collate(examples(14, 5)))
    trace = model.trace(batch)
    for tensor in (trace.visual, trace.textual, trace.mixture):
        assert (tensor - tensor[:, :1]).abs().max() < 1e-12
    other = {**batch, "image": batch["image"].flip(0) * 3}
    difference = (trace.emissions - model.trace(other).emissions)[0].detach()
    assert difference.abs().max() > 1e-4
    assert torch.linalg.matrix_rank(difference, atol=1e-10) <= 2


def test_add_attends_by_word():
    model = small_model(attention_merge="add")
    trace = model.trace(double(model.collate(examples(14))))
    assert (trace.visual_weights - trace.visual_weights[:, :1]).abs().max() > 1e-6
    assert (trace.textual_weights - trace.textual_weights[:, :1]).abs().max() > 1e-6


def test_the_image_matters():
    """About 4e-3 between two images and 2e-2 against zeros, at the default initialisation."""
    torch.manual_seed(7)
    model = Model(Options(), numbered_vocabulary(200, 60)).eval()
    batch = model.collate(examples(14, regions=49, channels=512))
    torch.manual_seed(8)
    emissions = [
        model({**batch, "image": image}).emissions
        for image in (torch.rand(1, 49, 512), torch.rand(1, 49, 512), torch.zeros(1, 49, 512))
    ]
    assert 5e-4 < (emissions[0] - emissions[1]).abs().max() < 4e-2
    assert 2e-3 < (emissions[0] - emissions[2]).abs().max() < 2e-1
    model(batch).loss.backward()
    assert model.project_image.weight.grad.abs().max() > 0


@pytest.mark.parametrize("merge", ["concat", "add"])
@pytest.mark.parametrize("filtration", ["scalar", "vector", "fused-only"])
def test_gates_are_shares_and_the_mixture_is_convex(merge, filtration):
    model = small_model(attention_merge=merge, filtration=filtration)
    trace = model.trace(double(model.collate(examples(14, 5))))
    for gate in (trace.fusion_gate, trace.filtration_gate):
        assert gate.min() > 0 and gate.max() < 1
    image = torch.tanh(model.fusion.visual(trace.visual))
    text = torch.tanh(model.fusion.textual(trace.textual))
    low, high = torch.minimum(image, text), torch.maximum(image, text)
    assert (trace.mixture >= low - 1e-12).all() and (trace.mixture <= high + 1e-12).all()


def test_loss_and_best_path_over_all_paths():
    """Loss and best path of the model against the sum over every path (3 tags, 4 words)."""
    torch.manual_seed(3)
    options = Options(**SMALL)
    vocabulary = {**numbered_vocabulary(40, 20), "entity_types": ["PER"]}
    model = Model(options, vocabulary).double().eval()
    one = example(3, 4)
    batch = double(model.collate([one]))
    emissions = model(batch).emissions[0]

    def score(path):
        steps = sum(emissions[i, tag] for i, tag in enumerate(path))
        moves = sum(model.crf.transitions[a, b] for a, b in itertools.pairwise(path))
        ends = model.crf.start_transitions[path[0]] + model.crf.end_transitions[path[-1]]
        return steps + moves + ends

    paths = list(itertools.product(range(3), repeat=4))
    scores = torch.stack([score(path) for path in paths])
    gold = score([model.tags.index(tag) for tag in one.sample.tags])
    torch.testing.assert_close(model(batch).loss, scores.logsumexp(0) - gold)
    best = paths[int(scores.argmax())]
    assert model.decode(batch, "main") == [[model.tags[tag] for tag in best]]


# Images that are not there


@pytest.mark.parametrize("filtration", ["scalar", "vector", "fused-only"])
def test_without_image_nothing_passes(filtration):
    """A missing image adds nothing to the emissions, and leaves its neighbours alone."""
    model = small_model(filtration=filtration)
    group = [example(0, 14), example(1, 5, ok=False)]
    batch = double(model.collate(group))
    assert batch["has_image"].tolist() == [True, False]
    emissions = emissions_of(model, batch)
    filled = {**batch, "image": torch.rand_like(batch["image"])}
    assert torch.equal(emissions_of(model, filled)[1], emissions[1])
    assert not torch.allclose(emissions_of(model, filled)[0], emissions[0])

    states = model.trace(batch).states[1, :5]
    width, output = states.shape[1], model.filtration.output
    text = states if filtration != "fused-only" else model.filtration.text(states)
    half = slice(0, width) if filtration != "fused-only" else slice(width, None)
    torch.testing.assert_close(
        emissions[1], functional.linear(text, output.weight[:, half], output.bias)
    )


def test_without_any_image_the_loss_trains_text_only():
    model = small_model()
    batch = double(model.collate(examples(14, 5, ok=False)))
    model(batch).loss.backward()
    assert model.project_image.weight.grad.abs().max() == 0
    assert model.lstm.weight_ih_l0.grad.abs().max() > 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_grid_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match="image i0: expected a grid of 4 cells and 9 channels"):
        small_model().collate(examples(5, channels=8))


def test_standardize_grid():
    model = small_model(standardize_grid=True)
    group = examples(5, 6, 7)
    model.fit_statistics(iter([*group, example(9, 4, ok=False)]))
    rows = np.concatenate([e.items["grid"].features.astype(np.float64) for e in group])
    got = model.standardize(torch.from_numpy(rows))
    assert got.mean(dim=0).abs().max() < 1e-6
    assert (got.std(dim=0, unbiased=False) - 1).abs().max() < 1e-6
    assert {"standardize.mean", "standardize.std"} < set(model.state_dict())


def test_standardize_grid_leaves_a_constant_channel_finite():
    model = small_model(standardize_grid=True)
    item = example(0, 5)
    item.items["grid"].features[:, 2] = 0.5
    model.fit_statistics([item])
    assert model.standardize(torch.full((1, 9), 0.5))[0, 2] == 0


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_merge": "concatenate"}, "Did you mean 'concat'"),
        ({"char_dropout": 25}, "char_dropout must be between 0 and 1"),
        ({"filter_widths": []}, "filter_widths must be 1 or more"),
        ({"masked_char_max": False, "max_chars": 3}, "must hold the widest filter"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_options_refuse_illegal_values(options, message):
    with pytest.raises(ConfigError, match=message):
        options_from(Options, options, "models.acn.options")


def test_options_come_from_json():
    options = options_from(Options, {"filter_widths": [2, 3], "word_vectors": None}, "here")
    assert options.filter_widths == (2, 3)


def test_layers_refuse_unknown_kinds():
    with pytest.raises(ValueError, match="merge must be one of"):
        MergedAttention(4, "multiply")
    with pytest.raises(ValueError, match="kind must be one of"):
        FiltrationGate(4, 3, "none")
    with pytest.raises(ValueError, match="even width"):
        FiltrationGate(5, 3, "vector")


def test_cut_tokens_are_outside(caplog):
    model = small_model(max_tokens=6)
    group = examples(14, 5, 9)
    batch = double(model.collate(group))
    assert batch["mask"].sum(dim=1).tolist() == [6, 5, 6]
    decoded = model.decode(batch, "main")
    assert [len(tags) for tags in decoded] == [14, 5, 9]
    assert decoded[0][6:] == ["O"] * 8
    assert sum("max_tokens" in record.message for record in caplog.records) == 1


def test_long_words_are_cut():
    model = small_model(max_chars=4)
    batch = model.collate(examples(14))
    assert batch["char_ids"].shape[2] == 4 and batch["char_lengths"].max() == 4


def test_pad_to_caps():
    batch = small_model(upstream=True).collate(examples(3, 2))
    assert batch["char_ids"].shape == (2, 35, 30)


def test_unlabelled_batch_has_no_loss():
    model = small_model()
    batch = double(model.collate([example(0, 5), example(1, 3, tagged=False)]))
    output = model(batch)
    assert output.loss is None
    assert [len(tags) for tags in model.decode(batch, "main")] == [5, 3]


def test_unknown_tag_is_refused():
    one = example(0, 3)
    one.sample.tags[1] = "B-PERS"
    with pytest.raises(DataError, match=r"sample s0: tag 'B-PERS'.*Did you mean 'B-PER'"):
        small_model().collate([one])


def test_empty_sample_is_refused():
    with pytest.raises(DataError, match="sample s0: no token"):
        small_model().collate([example(0, 0)])


def test_constrain_bio():
    """Free decoding of a random model leaves orphans; constrained decoding never does."""
    group = examples(14, 14, 9, 14)
    orphans = {}
    for constrain in (False, True):
        model = small_model(constrain_bio=constrain)
        with torch.no_grad():
            model.crf.transitions.normal_(generator=torch.Generator().manual_seed(1))
        decoded = model.decode(double(model.collate(group)), "main")
        orphans[constrain] = sum(
            tag[0] == "I" and before[2:] != tag[2:]
            for tags in decoded
            for before, tag in itertools.pairwise(["O", *tags])
        )
    assert orphans[True] == 0 < orphans[False]


@pytest.mark.parametrize("freeze", [True, False])
def test_word_vectors(tmp_path, freeze):
    path = tmp_path / "vectors.txt"
    path.write_text("london 1 2 3\nparis 4 5 6\n", encoding="utf-8")
    options = Options(
        **{**SMALL, "word_dim": 3}, word_vectors=str(path), freeze_word_vectors=freeze
    )
    vocabulary = Model.build_vocabulary(options, [example(0, 14).sample], TYPES)
    model = Model(options, vocabulary)
    rows = [vocabulary["words"].index(word) for word in ("london", "paris")]
    assert model.word_table.weight[rows].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert model.word_table.weight[0].tolist() == [0, 0, 0]
    assert model.word_table.weight.requires_grad is not freeze
    # Babbage occurs once and has no vector, London has one.
    singletons = {vocabulary["words"][row] for row in vocabulary["singletons"]}
    assert "babbage" in singletons and "london" not in singletons

    path.unlink()
    loaded = Model(options, vocabulary, pretrained=False)
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(loaded.word_table.weight, model.word_table.weight)


def test_hashed_unknown_words():
    """Two unseen words differ with `hash` and share the row of [unk] without."""
    for unknown, same in (("unk", True), ("hash", False)):
        model = small_model(unknown_words=unknown)
        batch = model.collate(examples(2))
        batch["word_ids"][:] = 1
        if batch["hashed"] is not None:
            batch["hashed"] = model.index.hashed_vectors([["zig", "zag"]], width=2, dim=12)
        vectors = model.word_table(batch["word_ids"], batch["hashed"])[0]
        assert torch.equal(vectors[0], vectors[1]) is same


def test_singletons_become_unk_in_training_only():
    model = small_model(singleton_unk=1.0)
    table, singletons = model.word_table, model.vocabulary["singletons"]
    assert len(model.vocabulary["words"]) > len(singletons) + 2
    vocabulary = {**model.vocabulary, "singletons": [3, 5]}
    table = Model(Options(**SMALL, singleton_unk=1.0), vocabulary).word_table
    ids = torch.arange(8)[None]
    table.train()
    assert torch.equal(table(ids)[0, [3, 5]], table.weight[[1, 1]])
    assert torch.equal(table(ids)[0, [2, 4, 6, 7]], table.weight[[2, 4, 6, 7]])
    table.eval()
    assert torch.equal(table(ids)[0], table.weight[:8])


def test_parameter_groups_hold_each_trainable_tensor_once():
    model = small_model()
    groups = model.parameter_groups()
    assert set(groups) == {"head", "vision", "fusion", "crf"}
    ids = [id(p) for group in groups.values() for p in group]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(groups["crf"]) == 3
    assert groups["vision"] == list(model.project_image.parameters())


def test_every_trainable_tensor_gets_a_gradient():
    for changes in ({}, {"attention_merge": "add"}, {"filtration": "vector"}):
        model = small_model(**changes)
        model(double(model.collate(examples(14, 5)))).loss.backward()
        missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert missing == []


def test_autocast_gives_float32_emissions():
    model = Model(Options(**SMALL), numbered_vocabulary(40, 20))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(model.collate(examples(14, 5)))
    assert output.emissions.dtype == torch.float32 and output.loss.isfinite()
