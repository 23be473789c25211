"""RPI-HMIF as a whole: what reaches the tags, and what must not."""

import pytest
import torch

from extract.core.errors import ConfigError
from tests.builders.train.rpi_hmif_tiny import (
    assert_same,
    examples,
    real,
    with_pictures,
)
from train.data.examples import Example
from train.systems.rpi_hmif.model import Model

BACKBONES = pytest.mark.parametrize("backbone", ["hybrid", "independent"])
ALIGNS = pytest.mark.parametrize("align", ["token_mix", "attention"])


# Padding, masks, batches


@BACKBONES
@ALIGNS
def test_padded_pieces_change_nothing(build, backbone, align):
    model = build(backbone=backbone, him={"align": align})
    batch = model.collate(examples())
    ids = torch.randint_like(batch["input_ids"], 5, 100)
    ids = torch.where(batch["mask"], batch["input_ids"], ids)
    assert not torch.equal(ids, batch["input_ids"])
    assert_same(real(model, {**batch, "input_ids": ids}), real(model, batch))


@ALIGNS
@pytest.mark.parametrize("mode", ["combined", "per_type"])
def test_a_padded_question_changes_nothing(build, align, mode):
    lengths = {"max_pieces": 150} if mode == "per_type" else {}
    model = build(him={"align": align}, question={"mode": mode, **lengths})
    batch = model.collate(examples())
    before = real(model, batch)
    words = model.question.mask[:, 8:]
    assert not words.all()
    noise = torch.randint_like(model.question.ids, 5, 100)
    model.question.ids = torch.where(words, model.question.ids, noise)
    assert_same(real(model, batch), before)


@BACKBONES
@ALIGNS
def test_masked_crops_change_nothing(build, backbone, align):
    model = build(backbone=backbone, him={"align": align})
    batch = model.collate(examples())
    pictures = batch["pictures"]
    images = [
        torch.where(there[..., None, None, None], x, 1e4 * torch.randn_like(x)).requires_grad_()
        for x, there in zip(pictures.images, pictures.present, strict=True)
    ]
    changed = with_pictures(batch, images)
    assert_same(real(model, changed), real(model, batch))
    model.trace(changed).emissions.sum().backward()
    for x, there in zip(images, pictures.present, strict=True):
        assert (x.grad[~there] == 0).all()
        assert (x.grad[there] != 0).any()


@BACKBONES
@ALIGNS
def test_a_batch_equals_its_single_tweets(build, backbone, align):
    model, group = build(backbone=backbone, him={"align": align}), examples()
    batch = model.collate(group)
    together = model.trace(batch)
    for row, one in enumerate(group):
        alone_batch = model.collate([one])
        n = int(alone_batch["mask"].sum())
        alone = model.trace(alone_batch)
        assert (alone.emissions[0, :n] - together.emissions[row, :n]).abs().max() < 1e-10
        assert (alone.weights[0, :n] - together.weights[row, :n]).abs().max() < 1e-10


@BACKBONES
def test_longer_rows_change_nothing(build, backbone):
    model = build(backbone=backbone, him={"align": "attention"})
    batch = model.collate(examples())
    assert batch["mask"].shape[1] < model.options.max_pieces  # no static padding
    before = real(model, batch)
    longer = {
        **batch,
        "input_ids": torch.nn.functional.pad(batch["input_ids"], (0, 5), value=7),
        "mask": torch.nn.functional.pad(batch["mask"], (0, 5)),
    }
    question = model.question
    question.ids = torch.nn.functional.pad(question.ids, (0, 4), value=9)
    question.mask = torch.nn.functional.pad(question.mask, (0, 4))
    assert_same(real(model, longer), before)


# Image and question


@BACKBONES
def test_the_image_matters(build, backbone):
    model = build(backbone=backbone)
    batch, other = model.collate(examples()), model.collate(examples(seed=1))
    changed = with_pictures(batch, other["pictures"].images)
    emissions = [model.trace(b).emissions for b in (batch, changed)]
    difference = (emissions[0] - emissions[1]).abs().masked_fill(~batch["mask"][..., None], 0)
    per_sample = difference.flatten(1).amax(1)
    assert (per_sample[:2] > 1e-6).all() and per_sample[2] == 0  # the third has no picture
    images = [x.clone().requires_grad_() for x in batch["pictures"].images]
    model.trace(with_pictures(batch, images)).emissions[batch["mask"]].sum().backward()
    for x, there in zip(images, batch["pictures"].present, strict=True):
        patches = x.grad[there].unfold(2, 8, 8).unfold(3, 8, 8)  # (n, 3, rows, columns, 8, 8)
        assert (patches.abs().amax(dim=(1, 4, 5)) > 0).all()


@BACKBONES
def test_without_use_image_pixels_do_nothing(build, backbone):
    model = build(backbone=backbone, use_image=False)
    assert Model.required_features(model.options) == {}
    samples = [Example(e.sample, {}) for e in examples()]
    batch = model.collate(samples)
    images = [torch.randn_like(x) for x in batch["pictures"].images]
    assert_same(real(model, with_pictures(batch, images)), real(model, batch), 0)


def test_the_question_matters(build):
    batch = build().collate(examples())
    asked = {"": None, "see the man": None, "the red sofa": None}
    for text in asked:
        asked[text] = real(build(question={"text": text}), batch)[0]
    plain, *others = asked.values()
    assert all((plain - other).abs().max() > 1e-6 for other in others)


@pytest.mark.parametrize("off", [{"question": {"mode": "none"}}, {"him": {"enabled": False}}])
def test_without_it_the_question_does_nothing(build, off):
    found = []
    for text in ("see the man", "the red sofa"):
        options = {**off, "question": {**off.get("question", {}), "text": text}}
        model = build(**options)
        assert model.question is None
        found.append(real(model, model.collate(examples())))
    assert_same(*found, 0)


@pytest.mark.parametrize(
    ("mode", "depth"),
    [
        ("combined", "shallow"),
        ("combined", "deep"),
        ("per_type", "shallow"),
        ("per_type", "deep"),
        ("learned", "shallow"),
    ],
)
def test_gradients_reach_the_question(build, mode, depth):
    model = build(question={"mode": mode, "prompt_depth": depth, "max_pieces": 150})
    model(model.collate(examples())).loss.backward()
    question = model.question
    for parameter in question.prompt_parameters():
        assert parameter.grad.abs().max() > 0
    for parameter in question.bert.encoder.parameters():
        # A constant added to all keys is invisible to the softmax.
        assert parameter.grad is not None
    assert question.bert.encoder.layer[0].attention.self.query.weight.grad.abs().max() > 0


def test_question_shared_with_the_text(build):
    model = build(question={"encoder": "shared"})
    assert model.question.bert is None and not model.parameter_groups()["question"]
    separate = build()
    batch = model.collate(examples())
    assert_same(real(model, batch), real(separate, batch), 0)  # the same until they train


def test_discrete_question_alone(build):
    model = build(question={"prompt_len": 0})
    assert not model.parameter_groups()["prompts"]
    assert model.trace(model.collate(examples())).question.shape == (1, 60, 32)


def test_a_question_that_is_too_long(build):
    with pytest.raises(ConfigError, match=r"question\.max_pieces leaves room for 22"):
        build(question={"max_pieces": 30})
    with pytest.raises(ConfigError, match="reads at most 512 pieces, got 600"):
        build(question={"max_pieces": 600})
