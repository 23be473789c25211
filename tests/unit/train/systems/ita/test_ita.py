"""ITA: the alignment term against hand-computed numbers, both views, and what each learns from."""

import pytest
import torch

from extract.core.errors import ConfigError
from extract.core.options import options_from
from extract.store import StoredItem
from extract.tables.samples import Sample
from extract.words.image_text import ContextOptions
from tests.builders.train.ita_tiny import (
    GOLDEN_MM,
    GOLDEN_TEXT,
    VOCABULARY,
    build,
    caption,
    examples,
    golden_crf,
    gradients,
)
from train.blocks.crf import LinearChainCRF
from train.data.examples import Example
from train.systems.ita.model import Model, cva_divergence
from train.systems.ita.options import Options


def golden_divergence(temperature, text=None):
    """Return the alignment term of the golden example, as a scalar."""
    crf, mask = golden_crf(), torch.ones(1, 3, dtype=torch.bool)
    text = torch.tensor([GOLDEN_TEXT], dtype=torch.float64) if text is None else text
    mm = torch.tensor([GOLDEN_MM], dtype=torch.float64)
    student, teacher = crf.log_marginals(text, mask), crf.log_marginals(mm, mask)
    return cva_divergence(student, teacher, mask, temperature).squeeze(0)


@pytest.mark.parametrize(
    ("temperature", "expected", "total"),
    [
        (1.0, 0.36405699, 0.43327084),
        (2.0, 0.51853273, 0.51050872),
        (4.0, 0.54685278, 0.52466874),
    ],
)
def test_divergence_of_the_worked_example(temperature, expected, total):
    divergence = golden_divergence(temperature).item()
    assert divergence == pytest.approx(expected, abs=1e-6)
    assert 0.5 * 0.50248470 + 0.5 * divergence == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (
            1.0,
            [
                [0.004377, -0.004252, -0.000125],
                [0.327731, -0.350243, 0.022512],
                [0.155247, 0.241149, -0.396396],
            ],
        ),
        (
            4.0,
            [
                [0.044347, -0.026340, -0.018008],
                [0.465030, -0.422600, -0.042430],
                [0.210414, 0.301318, -0.511731],
            ],
        ),
    ],
)
def test_gradient_of_the_worked_example(temperature, expected):
    text = torch.tensor([GOLDEN_TEXT], dtype=torch.float64, requires_grad=True)
    golden_divergence(temperature, text).backward()
    expected = torch.tensor([expected], dtype=torch.float64)
    torch.testing.assert_close(text.grad, expected, atol=1e-6, rtol=0)
    assert text.grad.sum(2).abs().max() < 1e-12


def random_views(seed=0, dtype=torch.float64, b=3, w=5, k=4):
    torch.manual_seed(seed)
    crf = LinearChainCRF(k, init="normal").to(dtype)
    text, mm = torch.randn(2, b, w, k, dtype=dtype).unbind(0)
    mask = torch.arange(w)[None] < torch.tensor([5, 3, 1])[:, None]
    return crf, text, mm, mask


def divergence_of(crf, text, mm, mask, temperature):
    return cva_divergence(
        crf.log_marginals(text, mask), crf.log_marginals(mm, mask), mask, temperature
    )


def test_a_constant_on_one_word_changes_no_divergence():
    crf, text, mm, mask = random_views()
    shifted = text.clone()
    shifted[:, 0] += 3.0
    expected = divergence_of(crf, text, mm, mask, 2.0)
    torch.testing.assert_close(divergence_of(crf, shifted, mm, mask, 2.0), expected)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_equal_views_have_no_divergence(temperature):
    crf, text, _, mask = random_views(dtype=torch.float32)
    text.requires_grad_()
    divergence = divergence_of(crf, text, text.detach(), mask, temperature)
    assert divergence.abs().max() <= 1e-6
    divergence.sum().backward()
    assert text.grad.abs().max() <= 1e-6


def test_empty_context_leaves_nothing_to_align(tiny_encoder):
    model = build(tiny_encoder("bert")).eval()
    batch = model.collate(examples(context=False))
    output = model(batch)
    assert not batch["has_context"].any()
    assert output.parts["cva"] == 0
    batch["has_context"][:] = True  # even when asked, equal views agree
    assert model(batch).parts["cva"].abs() <= 1e-6
    torch.testing.assert_close(output.parts["nll_mm"], output.parts["nll_text"])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_divergence_is_positive(seed, temperature):
    assert (divergence_of(*random_views(seed), temperature) > 0).all()


def test_image_words_that_change_the_scores_are_to_be_aligned(tiny_encoder):
    model = build(tiny_encoder("bert")).eval()
    batch = model.collate(examples()[:1])
    text, mm = model.emissions(batch, "text"), model.emissions(batch, "mm")
    assert not torch.allclose(text, mm)
    assert model(batch).parts["cva"] > 0


def test_nothing_flows_into_the_teacher():
    crf, text, mm, mask = random_views()
    text.requires_grad_()
    mm.requires_grad_()
    divergence_of(crf, text, mm, mask, 2.0).sum().backward()
    assert mm.grad is None or (mm.grad == 0).all()
    assert (text.grad[mask].abs().sum() > 0) and (text.grad[~mask] == 0).all()
    teacher = crf.log_marginals(mm, mask).detach()
    transitions, step = crf.transitions.data, 1e-6
    for a, b in [(0, 1), (2, 3), (3, 3)]:
        values = []
        for sign in (1, -1):
            transitions[a, b] += sign * step
            student = crf.log_marginals(text, mask)
            values.append(cva_divergence(student, teacher, mask, 2.0).sum().item())
            transitions[a, b] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert crf.transitions.grad[a, b].item() == pytest.approx(slope, abs=1e-6)


def test_full_model_teaches_the_text_view_only(tiny_encoder):
    model = build(tiny_encoder("bert"), word_dropout=0.0).eval()
    batch = model.collate(examples())
    text, mm = model.emissions(batch, "text"), model.emissions(batch, "mm")
    text.retain_grad()
    mm.retain_grad()
    model.paired_loss(text, mm, batch)["cva"].backward()
    assert mm.grad is None or (mm.grad == 0).all()
    assert text.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in [*model.head.parameters()])


def test_divergence_at_high_temperature():
    assert golden_divergence(16.0).item() == pytest.approx(0.53704, abs=1e-5)
    assert golden_divergence(256.0).item() == pytest.approx(0.52902, abs=1e-5)
    crf, mask = golden_crf(), torch.ones(1, 3, dtype=torch.bool)
    views = [torch.tensor([v], dtype=torch.float64) for v in (GOLDEN_TEXT, GOLDEN_MM)]
    text, mm = (crf.log_marginals(view, mask) for view in views)
    difference = mm - text
    centred = difference - difference.mean(2, keepdim=True)
    limit = (centred**2).sum() / 6
    assert limit.item() == pytest.approx(0.52841, abs=1e-5)
    assert golden_divergence(1e5).item() == pytest.approx(limit.item(), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlmr"])
def test_a_batch_is_the_mean_of_its_sentences(tiny_encoder, family):
    model = build(tiny_encoder(family)).eval()
    with torch.no_grad():
        batch = model.collate(examples())
        together = model(batch)
        singles = [model(model.collate([example])) for example in examples()]
        for view in model.views:
            emissions = model.emissions(batch, view)
            for b, example in enumerate(examples()):
                alone = model.emissions(model.collate([example]), view)[0]
                torch.testing.assert_close(emissions[b, : len(alone)], alone, atol=1e-5, rtol=0)
    for name, value in together.parts.items():
        mean = torch.stack([single.parts[name] for single in singles]).mean()
        torch.testing.assert_close(value, mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.loss, sum(together.parts.values()))


def test_the_divergence_of_a_batch_sums_over_words():
    crf, text, mm, mask = random_views()
    together = divergence_of(crf, text, mm, mask, 2.0)
    for b, n in enumerate([5, 3, 1]):
        one, words = slice(b, b + 1), slice(0, n)
        alone = divergence_of(crf, text[one, words], mm[one, words], mask[one, words], 2.0)
        torch.testing.assert_close(together[one], alone)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlmr"])
def test_garbage_on_padding_changes_nothing(tiny_encoder, family):
    model = build(tiny_encoder(family)).double().eval()
    batch = model.collate(examples())
    noisy = {**batch, "tags": batch["tags"].masked_fill(~batch["mask"], 3)}
    for view in model.views:
        ids, is_real = batch[view]["input_ids"], batch[view]["attention_mask"] > 0
        garbage = torch.randint_like(ids, 5, 60)
        noisy[view] = {**batch[view], "input_ids": torch.where(is_real, ids, garbage)}
        assert not torch.equal(noisy[view]["input_ids"], ids)
        emissions = [model.emissions(b, view) for b in (batch, noisy)]
        posteriors = [model.head.crf.log_marginals(e, batch["mask"]) for e in emissions]
        torch.testing.assert_close(*(e[batch["mask"]] for e in emissions), atol=1e-10, rtol=0)
        torch.testing.assert_close(*posteriors, atol=1e-10, rtol=0)
    before, after = model(batch).parts, model(noisy).parts
    assert set(before) == {"nll_text", "nll_mm", "cva"}
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-10, rtol=0)


@pytest.mark.parametrize("view", Model.views)
def test_only_tweet_words_are_tagged(tiny_encoder, view):
    model = build(tiny_encoder("bert")).eval()
    batch = model.collate(examples())
    emissions = model.emissions(batch, view)
    assert emissions.shape == (4, 6, 9)
    assert batch["mm"]["first_subword"].shape == batch["text"]["first_subword"].shape
    assert torch.equal(batch["mm"]["first_subword"] >= 0, batch["mask"])
    assert [len(tags) for tags in model.decode(batch, view)] == [6, 2, 5, 1]


def test_the_text_view_does_not_depend_on_the_image(tiny_encoder):
    model = build(tiny_encoder("bert")).eval()
    bare = [Example(example.sample, {}) for example in examples()]
    batches = [model.collate(e) for e in (examples(), examples(context=False), bare)]
    emissions = [model.emissions(batch, "text") for batch in batches]
    assert torch.equal(emissions[0], emissions[1]) and torch.equal(emissions[0], emissions[2])
    decoded = [model.decode(batch, "text") for batch in batches]
    assert decoded[0] == decoded[1] == decoded[2]
    losses = [model(batch).parts["nll_text"] for batch in batches]
    assert torch.equal(losses[0], losses[1]) and torch.equal(losses[0], losses[2])
    assert not torch.allclose(model(batches[0]).emissions, model(batches[1]).emissions)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # what is drawn for one view moves the draws of the other
    model.head.word_dropout.p = 0.0
    trained = [model(batch).parts["nll_text"] for batch in batches]
    torch.testing.assert_close(trained, losses)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlmr"])
def test_without_image_words_mm_is_text(tiny_encoder, family):
    model = build(tiny_encoder(family)).eval()
    batch = model.collate(examples(context=False))
    assert all(torch.equal(batch["mm"][key], batch["text"][key]) for key in batch["mm"])
    assert model.decode(batch, "mm") == model.decode(batch, "text")


@pytest.mark.parametrize(
    ("family", "end"), [("bert", "[SEP]"), ("roberta", "</s>"), ("xlmr", "</s>")]
)
@pytest.mark.parametrize(("separator", "written"), [("per_segment", 3), ("single", 1)])
def test_separators_between_image_words(tiny_encoder, family, end, separator, written):
    context = ContextOptions(use=("captions", "ocr"), separator=separator)
    model = build(tiny_encoder(family), context=context)
    captions = StoredItem(status=0, text=("a <EOS> man", "</s> [SEP]"))
    read = StoredItem(status=0, text=("EXIT", "</s>"))
    sample = Sample("0", "i", ["the", "<EOS>", "</s>", "[SEP]", "dog"])
    batch = model.collate([Example(sample, {"captions": captions, "ocr": read})])
    end_id = model.encoder.tokenizer.convert_tokens_to_ids(end)
    assert (batch["mm"]["input_ids"] == end_id).sum() == 1 + written
    assert (batch["text"]["input_ids"] == end_id).sum() == 1


@pytest.mark.parametrize("overflow", ["skip_segment", "truncate"])
@pytest.mark.parametrize(("positions", "n_captions"), [(512, 5), (40, 5)])
def test_image_words_keep_to_the_budget(tiny_encoder, positions, n_captions, overflow):
    model = build(tiny_encoder("bert", positions), context=ContextOptions(overflow=overflow))
    captions = StoredItem(status=0, text=("a stadium with a street sign " * 20,) * n_captions)
    batch = model.collate([Example(examples()[0].sample, {"captions": captions})])
    mm, text = batch["mm"]["input_ids"][0], batch["text"]["input_ids"][0]
    assert len(mm) <= positions
    assert torch.equal(mm[: len(text) - 1], text[:-1])
    assert torch.equal(batch["mm"]["first_subword"], batch["text"]["first_subword"])
    assert batch["has_context"].item() == (overflow == "truncate" or positions == 512)


def test_a_tweet_beyond_the_budget_gets_no_context(tiny_encoder):
    model = build(tiny_encoder("bert", 40)).eval()
    sample = Sample("0", "i", ["dog"] * 60, ["O"] * 60)
    batch = model.collate([Example(sample, {"captions": caption("a man")}), examples()[0]])
    assert batch["has_context"].tolist() == [False, True]
    assert torch.isfinite(model(batch).loss)
    assert [len(tags) for tags in model.decode(batch, "mm")] == [60, 6]


def test_parameter_groups_of_the_model(tiny_encoder):
    model = build(tiny_encoder("bert"))
    groups = model.parameter_groups()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in groups["crf"]} == {
        "head.crf.start_transitions",
        "head.crf.end_transitions",
        "head.crf.transitions",
    }
    grouped = [id(parameter) for group in groups.values() for parameter in group]
    assert sorted(grouped) == sorted(names)


@pytest.mark.parametrize("schedule", ["paired", "interleaved"])
def test_accumulated_samples_equal_one_batch(tiny_encoder, schedule):
    model = build(tiny_encoder("bert"), cva_schedule=schedule).eval()
    whole = gradients(model, model(model.collate(examples())).loss)
    losses = [model(model.collate([example])).loss for example in examples()]
    for a, b in zip(whole, gradients(model, sum(losses) / 4), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("schedule", ["paired", "interleaved"])
@pytest.mark.parametrize(("index", "has_context"), [(0, True), (1, False)])
def test_a_step_equals_two_accumulated_samples(tiny_encoder, index, has_context, schedule):
    model = build(tiny_encoder("bert"), cva_schedule=schedule).double().eval()
    batch = model.collate([examples()[index]])
    assert batch["has_context"].item() == has_context
    step = gradients(model, model(batch).loss)
    crf, mask, tags = model.head.crf, batch["mask"], batch["tags"]

    def nll(view):
        return crf.nll(model.emissions(batch, view), tags, mask)[0]

    model.zero_grad()
    (nll("text") / 2).backward()  # first sample, then the second on top of it
    second = nll("mm")
    if has_context:
        student = crf.log_marginals(model.emissions(batch, "text"), mask)
        teacher = crf.log_marginals(model.emissions(batch, "mm"), mask)
        second = 0.5 * second + 0.5 * cva_divergence(student, teacher, mask, 2.0)[0]
    (second / 2).backward()
    accumulated = [p.grad for p in model.parameters() if p.grad is not None]
    for a, b in zip(step, accumulated, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_weighting_of_adaseq(tiny_encoder):
    folder = tiny_encoder("bert")
    ita = build(folder, cva_rate=0.25).eval()
    other = build(folder, cva_rate=0.25, cva_weighting="adaseq").eval()
    batch = ita.collate([examples()[0]])
    a, b = ita(batch).parts, other(batch).parts
    # ita: 1/2, 3/8, 1/8; adaseq: 1/4, 1/4, 3/4.
    torch.testing.assert_close(b["nll_text"], a["nll_text"] / 2)
    torch.testing.assert_close(b["nll_mm"], a["nll_mm"] * 2 / 3)
    torch.testing.assert_close(b["cva"], a["cva"] * 6)


def test_without_alignment_only_the_mm_view_is_trained(tiny_encoder):
    model = build(tiny_encoder("bert"), cva=False).eval()
    batch = model.collate(examples())
    output = model(batch)
    expected = model.head.crf.nll(model.emissions(batch, "mm"), batch["tags"], batch["mask"]).mean()
    assert set(output.parts) == {"nll_mm"}
    torch.testing.assert_close(output.loss, expected)


def test_unlabelled_batches_decode_in_both_views(tiny_encoder):
    model = build(tiny_encoder("bert")).eval()
    batch = model.collate(examples(labelled=False))
    assert batch["tags"] is None and model(batch).loss is None
    for view in model.views:
        assert [len(tags) for tags in model.decode(batch, view)] == [6, 2, 5, 1]
    with pytest.raises(ConfigError, match="view"):
        model.decode(batch, "main")


def test_rebuilt_from_assets_and_weights_it_decodes_the_same(tiny_encoder, tmp_path):
    model = build(tiny_encoder("roberta")).eval()
    model.save_assets(tmp_path)
    again = Model(
        model.options, VOCABULARY, {"encoder": tmp_path / "encoder"}, pretrained=False
    ).eval()
    again.load_state_dict(model.state_dict())
    for view in model.views:
        assert again.decode(again.collate(examples()), view) == model.decode(
            model.collate(examples()), view
        )


def test_required_features_are_the_groups_in_use():
    assert set(Model.required_features(Options())) == {"captions", "ocr"}
    options = options_from(Options, {"context": {"use": ["objects"]}}, "ita")
    assert set(Model.required_features(options)) == {"objects"}


@pytest.mark.parametrize(
    "bad",
    [{"cva_rate": 1.5}, {"cva_temperature": 0.0}, {"cva_weighting": "none"}, {"word_dropout": 1.0}],
)
def test_options_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(Options, bad, "models.ita.options")


def tell(kind, words):
    """Return a tweet of the given words whose caption tells the type of the second."""
    cues = {"PER": "a man", "LOC": "a building"}
    tags = ["O", f"B-{kind}", "O"][: len(words)]
    return Example(Sample("s", "img", words, tags), {"captions": caption(cues[kind])})


def told_by_the_image():
    """Return 20 tweets of the same few words, whose types only the captions tell."""
    kinds = ("PER", "LOC")
    return [tell(k, ["see", "Oakland", "dog"][: 2 + i % 2]) for i in range(10) for k in kinds]


def train(model, data, steps, part=None, lr=3e-3):
    """Train on one batch, on one part of the loss when asked."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    batch = model.collate(data)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        output = model(batch)
        (output.parts[part] if part else output.loss).backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def gap(model, data):
    """Return the mean KL between the posteriors of the two views."""
    batch = model.collate(data)
    text, mm = (
        model.head.crf.log_marginals(model.emissions(batch, view), batch["mask"])
        for view in ("text", "mm")
    )
    return cva_divergence(text, mm, batch["mask"], 1.0).mean().item()


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same dropout, alone or among others."""
    torch.manual_seed(1)


@pytest.fixture(scope="module")
def image_reader(tiny_encoder):
    """Weights of a model trained, on its mm view alone, to read types from captions."""
    torch.manual_seed(0)
    model = build(tiny_encoder("bert"), cva=False)
    return train(model, told_by_the_image(), 60).state_dict()


def test_labels_in_the_image_are_read_by_the_mm_view_alone(tiny_encoder, image_reader):
    data, model = told_by_the_image(), build(tiny_encoder("bert")).eval()
    model.load_state_dict(image_reader)
    batch, gold = model.collate(data), [example.sample.tags for example in data]
    assert model.decode(batch, "mm") == gold
    text = model.decode(batch, "text")
    assert sum(a == b for a, b in zip(text, gold, strict=True)) <= len(data) / 2


@pytest.mark.parametrize("part", [None, "cva"], ids=["whole loss", "alignment alone"])
def test_alignment_brings_the_views_together(tiny_encoder, image_reader, part):
    told_by_both = [tell("PER", ["see", "Durant"]), tell("LOC", ["see", "Oakland", "tonight"])]
    model = build(tiny_encoder("bert"), cva=True, cva_temperature=2.0)
    model.load_state_dict(image_reader)
    gaps = [gap(model, told_by_both)]
    for _ in range(3):
        # Slowly, so that every measure is taken while the gap still falls.
        train(model, told_by_both, 20, part, lr=3e-4)
        gaps.append(gap(model, told_by_both))
    assert gaps[0] > 0.3
    assert gaps[0] > gaps[1] > gaps[3] and gaps[3] < gaps[0] / 10, gaps
