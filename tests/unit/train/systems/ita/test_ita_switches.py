"""ITA's switches: released options and recipe, dropout, schedule, states, legal moves."""

import itertools
import json
from dataclasses import asdict

import pytest
import torch

from extract.core.errors import ConfigError
from extract.core.options import options_from
from extract.tables.tags import bio_to_bioes, tag_set
from tests.builders.train.ita_tiny import VOCABULARY, build, examples, gradients
from tests.builders.train.published_recipes import published_config, published_recipe
from tests.builders.train.released_scores import rounded_f1
from train.blocks.crf import LinearChainCRF
from train.blocks.tag_head import WordDropout
from train.measures.metrics import Counts, micro_counts
from train.systems.ita.model import (
    Model,
    SharedWordDropout,
    StateCodec,
    forbid_illegal_moves,
    may_follow,
)
from train.systems.ita.options import EXTRA_STATES, Options
from train.training.optim import build_optimizer, current_rates, rate_factor, set_rates
from train.training.recipe import Recipe


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def test_the_preset_and_what_stays_clean(tiny_encoder):
    options = Options.upstream()
    assert options.context.separator == "single"
    assert (options.empty_word, options.crf_init) == ("zero", "normal")
    assert (options.cva_schedule, options.word_dropout_shared) == ("interleaved", True)
    assert options.tag_scheme == "bioes" and not options.crf_constrained
    assert Options.upstream(cva_temperature=4.0).cva_temperature == 4.0
    torch.manual_seed(0)
    model = Model(options, {"entity_types": list("ABCD")}, {"encoder": tiny_encoder("xlmr")})
    # 21 states in released code, less START and STOP; the real tags keep the ids they have without.
    assert len(model.codec.states) == model.head.crf.num_tags == 19
    assert model.codec.states == [*tag_set("ABCD", "bioes"), "<unk>", "S-X"]
    assert isinstance(model.head.word_dropout, SharedWordDropout)


def test_the_preset_trains_and_decodes_both_views(tiny_encoder):
    options = Options.upstream()
    model = Model(options, VOCABULARY, {"encoder": tiny_encoder("xlmr")})
    batch = model.collate(examples())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        losses.append(model(batch).loss)
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    for view in model.views:
        assert [len(tags) for tags in model.eval().decode(batch, view)] == [6, 2, 5, 1]


@pytest.mark.parametrize("shared", [False, True])
def test_word_dropout_zeroes_whole_words_unscaled(shared):
    dropout = (SharedWordDropout if shared else WordDropout)(0.1)
    words = torch.randn(8, 2000, 4)
    dropped = dropout(words)
    is_zero = (dropped == 0).all(2)
    assert 0.08 < is_zero.float().mean() < 0.12
    assert torch.equal(dropped[~is_zero], words[~is_zero])
    assert torch.equal(is_zero.all(0), is_zero.any(0)) == shared
    assert torch.equal(dropout.eval()(words), words)


def test_of_single_sentences_both_kinds_of_word_dropout_are_one():
    words = torch.randn(1, 50, 4)
    drawn = []
    for kind in (WordDropout, SharedWordDropout):
        torch.manual_seed(0)
        drawn.append(kind(0.3)(words))
    assert torch.equal(*drawn)


def test_rates_and_decay_of_each_group(tiny_encoder):
    model, recipe = build(tiny_encoder("bert")), published_recipe("ita_xlmr_large")
    optimizer = build_optimizer(model, recipe)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    fast = [group for group in optimizer.param_groups if group["peak_lr"] > 1e-3]
    assert {names[id(parameter)] for group in fast for parameter in group["params"]} == {
        "head.crf.start_transitions",
        "head.crf.end_transitions",
        "head.crf.transitions",
    }
    rates = current_rates(optimizer)
    assert rates["crf"] / rates["encoder"] == pytest.approx(10_000)
    assert rates["head"] == rates["encoder"] == 5e-6
    assert all(group["weight_decay"] == 0 for group in optimizer.param_groups)
    # In between by the same factor, from the whole rate without warm-up.
    for update, factor in ((0, 1.0), (15, 0.25), (20, 0.0)):
        set_rates(optimizer, rate_factor(update, 20, recipe))
        now = current_rates(optimizer)
        assert now == pytest.approx({name: factor * rate for name, rate in rates.items()})


@pytest.mark.parametrize(("cva", "samples_of_a_tweet"), [(True, 2), (False, 1)])
def test_the_published_recipe_has_four_samples_an_update(cva, samples_of_a_tweet):
    config = published_config()
    mapping = config["models"]["ita_xlmr_large"]["recipe"]
    if not cva:
        mapping |= config["ablations"]["ita"]["switches"]["all_without_cva"]["recipe"]
    recipe = options_from(Recipe, mapping, "recipe")
    assert recipe.batch_size * recipe.accumulation * samples_of_a_tweet == 4
    assert recipe.ties == "last" and recipe.clip == 5.0
    assert recipe.selection_view == ("mean" if cva else "mm")


def test_both_schedules_have_one_gradient_without_dropout(tiny_encoder):
    folder = tiny_encoder("bert")
    found = []
    for schedule in ("paired", "interleaved"):
        model = build(folder, cva_schedule=schedule).double().eval()
        found.append(gradients(model, model(model.collate(examples())).loss))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("schedule", "passes"), [("paired", 2), ("interleaved", 3)])
def test_interleaved_reads_the_tweet_twice(tiny_encoder, schedule, passes):
    model = build(tiny_encoder("bert"), cva_schedule=schedule, word_dropout=0.5).train()
    batch, emissions = model.collate(examples()), []
    model.head.register_forward_hook(lambda *call: emissions.append(call[-1]))
    model(batch)
    assert len(emissions) == passes
    if schedule == "interleaved":
        assert not torch.equal(emissions[1], emissions[2])  # dropout of its own


def test_a_calm_teacher_has_no_dropout(tiny_encoder, monkeypatch):
    teachers = []

    def see(student, teacher, mask, temperature):
        teachers.append(teacher)
        return (student - teacher).sum((1, 2))

    monkeypatch.setattr("train.systems.ita.model.cva_divergence", see)
    for calm in (False, True):
        model = build(tiny_encoder("bert"), cva_teacher_eval=calm, word_dropout=0.5).train()
        batch = model.collate(examples())
        for _ in range(2):
            model(batch)
        assert model.training and model.head.word_dropout.training
    noisy, calm = teachers[:2], teachers[2:]
    assert not torch.equal(*noisy) and torch.equal(*calm)
    expected = model.eval().head.crf.log_marginals(model.emissions(batch, "mm"), batch["mask"])
    torch.testing.assert_close(calm[0], expected)


@pytest.mark.parametrize(("scheme", "single"), [("bioes", "S"), ("bio", "B")])
def test_a_decoded_extra_state_is_an_entity_of_one_word(scheme, single):
    codec = StateCodec(["PER"], scheme, EXTRA_STATES)
    ids = {name: index for index, name in enumerate(codec.states)}
    path = [ids[name] for name in ("<unk>", "O", "S-X", f"{single}-PER")]
    assert codec.decode([path]) == [["B-<unk>", "O", "B-X", "B-PER"]]
    wrong = micro_counts([["O", "O", "O", "B-PER"]], codec.decode([path]))
    assert wrong == Counts(1, 3, 1)


def test_extra_states_enter_the_partition_function(tiny_encoder):
    folder = tiny_encoder("bert")
    model = build(folder, extra_states=EXTRA_STATES).eval()
    batch = model.collate(examples())
    emissions = model.emissions(batch, "mm")
    assert emissions.shape[2] == 11 and int(batch["tags"].max()) < 9
    lifted = emissions.clone()
    lifted[..., 9:] += 50.0
    crf = model.head.crf
    assert (crf.log_z(lifted, batch["mask"]) > crf.log_z(emissions, batch["mask"]) + 40).all()
    with pytest.raises(ConfigError, match="entity type of this corpus"):
        StateCodec(["PER", "X"], "bioes", ["S-X"])


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_moves_are_legal_where_gold_tags_have_them(scheme):
    gold = set()
    for bio in itertools.product(tag_set(["A", "B"]), repeat=4):
        if all(may_follow(a, b, "bio") for a, b in itertools.pairwise(["O", *bio])):
            tags = bio_to_bioes(bio) if scheme == "bioes" else bio
            gold |= set(itertools.pairwise(["O", *tags, "O"]))
    every = itertools.product(tag_set(["A", "B"], scheme), repeat=2)
    assert {pair for pair in every if may_follow(*pair, scheme)} == gold


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_forbidden_moves_are_never_decoded_and_never_trained(scheme):
    tags = [*tag_set(["A", "B"], scheme)]
    crf = LinearChainCRF(len(tags), init="normal")
    forbid_illegal_moves(crf, tags, scheme)
    emissions, mask = 5 * torch.randn(40, 6, len(tags)), torch.ones(40, 6, dtype=torch.bool)
    paths, _ = crf.viterbi(emissions, mask)
    for path in paths:
        named = ["O", *(tags[index] for index in path), "O"]
        assert all(may_follow(a, b, scheme) for a, b in itertools.pairwise(named))
    crf.nll(emissions, torch.tensor(paths), mask).mean().backward()
    illegal = [parameter.data == -1e4 for parameter in crf.parameters()]
    assert illegal[2].any()
    for parameter, where in zip(crf.parameters(), illegal, strict=True):
        assert (parameter.grad[where] == 0).all()
    assert crf.transitions.grad.abs().sum() > 0


def test_the_model_forbids_moves_when_asked(tiny_encoder):
    model = build(tiny_encoder("bert"), crf_constrained=True, extra_states=EXTRA_STATES)
    states = model.codec.states
    row = dict(zip(states, model.head.crf.transitions[states.index("B-PER")], strict=True))
    assert {name for name, score in row.items() if score > -1} == {"I-PER", "E-PER"}
    assert (build(tiny_encoder("bert")).head.crf.transitions > -1).all()
    batch = model.eval().collate(examples())
    assert torch.isfinite(model(batch).loss)


@pytest.mark.parametrize(
    "bad",
    [
        {"extra_states": ["S-Y"]},
        {"extra_states": ["S-X", "S-X"]},
        {"cva_schedule": "interleaved", "cva_weighting": "adaseq"},
        {"cva_schedule": "alternating"},
    ],
)
def test_switches_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(Options, bad, "models.ita.options")


def test_without_alignment_the_text_view_is_not_trained():
    assert Model.trained_views(Options()) == ("mm", "text")
    assert Model.trained_views(Options(cva=False)) == ("mm",)


def test_switches_come_from_a_config():
    options = options_from(Options, {"extra_states": ["<unk>", "S-X"]}, "ita")
    assert options.extra_states == EXTRA_STATES
    written = json.loads(json.dumps(asdict(Options.upstream())))  # as in run.json
    assert options_from(Options, written, "ita") == Options.upstream()


def test_the_rounded_score_rounds_before_it_combines():
    counts = Counts(1, 3, 4)
    # 0.3333 and 0.25 give 0.28569..., exactly it is 2/7.
    assert rounded_f1(counts) == pytest.approx(28.57, abs=1e-9)
    assert counts.f1 == pytest.approx(200 / 7)
    assert rounded_f1(Counts()) == 0
    assert rounded_f1(Counts(2, 3, 3)) == pytest.approx(66.67, abs=1e-9)
