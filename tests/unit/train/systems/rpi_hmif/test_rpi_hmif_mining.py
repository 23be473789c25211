"""RPI-HMIF's blocks: sizes, masks, and what the question and the mining do with padding."""

import pytest
import torch
from torch import nn

from train.blocks.visual_sequence import resize_grid
from train.systems.base import count_parameters, length_mask
from train.systems.rpi_hmif.fusion_engine import FusionEngine, FusionOptions
from train.systems.rpi_hmif.information_mining import InformationMining, MiningOptions
from train.systems.rpi_hmif.mining_blocks import (
    CrossAttention,
    PostNormBlock,
    ResidualBlock,
    RMSNorm,
    TokenMixer,
)
from train.systems.rpi_hmif.question_encoder import QuestionOptions, build_questions

DIM, HEADS = 16, 4


def mining(n_text=6, n_question=5, n_visual=7, **options):
    torch.manual_seed(0)
    shapes = {"n_text": n_text, "n_question": n_question, "n_visual": n_visual}
    return InformationMining(DIM, HEADS, MiningOptions(**options), **shapes).double().eval()


def inputs(n_text=6, n_question=5, n_visual=7, seed=1):
    """Return text, question and image with their masks; each has some padding."""
    generator = torch.Generator().manual_seed(seed)

    def states(*shape):
        return torch.randn(*shape, DIM, generator=generator, dtype=torch.float64)

    text = states(2, n_text), length_mask([4, 3], n_text)
    question = states(1, n_question), length_mask([3], n_question)
    image_mask = length_mask([n_visual, n_visual], n_visual)
    image_mask[0, 2:4] = False
    image_mask[1] = False
    return text, question, (states(2, n_visual), image_mask)


def scrambled(pair):
    """Return the same states with other values where the mask is false."""
    states, mask = pair
    return torch.where(mask.unsqueeze(2), states, 1e6 * torch.randn_like(states)), mask


def longer(pair, more):
    """Append masked positions."""
    states, mask = pair
    padding = torch.randn(len(states), more, DIM, dtype=torch.float64)
    hidden = torch.zeros(len(mask), more, dtype=torch.bool)
    return torch.cat([states, padding], dim=1), torch.cat([mask, hidden], dim=1)


def test_parameter_counts_at_published_width():
    with torch.device("meta"):
        assert count_parameters(PostNormBlock(768, 12)) == 7_086_336
        assert count_parameters(ResidualBlock(768, 12)) == 6_494_976
        mixers = {n: count_parameters(TokenMixer(n, 40, 768)) for n in (40, 61, 110)}
        assert mixers == {40: 4_816, 61: 5_656, 110: 7_616}
        sizes = {"n_text": 40, "n_question": 40}
        for n_visual, expected in ((110, 20_088_720), (61, 20_086_760)):
            him = InformationMining(768, 12, MiningOptions(), **sizes, n_visual=n_visual)
            assert count_parameters(him) == expected
        assert count_parameters(FusionEngine(768, 12, FusionOptions())) == 7_086_336


def test_shapes_of_what_is_mined():
    mined, seen = mining()(*inputs())
    assert mined.shape == seen.shape == (2, 6, DIM)


@pytest.mark.parametrize("v_keys", ["image_and_text", "image_only"])
@pytest.mark.parametrize("align", ["token_mix", "attention"])
def test_padding_changes_nothing(align, v_keys):
    model, (text, question, image) = mining(align=align, v_keys=v_keys), inputs()
    plain = model(text, question, image)
    for changed in (
        (scrambled(text), question, image),
        (text, scrambled(question), image),
        (text, question, scrambled(image)),
    ):
        for got, expected in zip(model(*changed), plain, strict=True):
            assert (got - expected)[text[1]].abs().max() < 1e-10


@pytest.mark.parametrize("v_keys", ["image_and_text", "image_only"])
def test_attention_takes_any_length(v_keys):
    model, (text, question, image) = mining(align="attention", v_keys=v_keys), inputs()
    plain = model(text, question, image)
    padded = model(longer(text, 3), longer(question, 2), longer(image, 4))
    for got, expected in zip(padded, plain, strict=True):
        assert (got[:, :6] - expected)[text[1]].abs().max() < 1e-10


def test_without_any_key_attention_gives_zero():
    attention = CrossAttention(DIM, HEADS).double()
    states = torch.randn(2, 3, DIM, dtype=torch.float64)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    read, weights = attention(states, states, mask)
    assert (read[1] == 0).all() and (weights[1] == 0).all()
    assert weights[0, :, 1].abs().max() == 0
    torch.testing.assert_close(weights[0].sum(1), torch.ones(3, dtype=torch.float64))


def test_attention_is_that_of_torch():
    ours, theirs = CrossAttention(DIM, HEADS), nn.MultiheadAttention(DIM, HEADS, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.weight.copy_(torch.eye(DIM))
        theirs.out_proj.bias.zero_()
    queries, source = torch.randn(2, 3, DIM), torch.randn(2, 5, DIM)
    mask = length_mask([5, 2])
    expected = theirs(queries, source, source, key_padding_mask=~mask)
    for got, wanted in zip(ours(queries, source, mask), expected, strict=True):
        torch.testing.assert_close(got, wanted)


def test_rms_norm_is_that_of_torch():
    ours, theirs, x = RMSNorm(DIM), nn.RMSNorm(DIM, eps=1e-6), torch.randn(3, DIM)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(torch.full((1, DIM), 3e4, dtype=torch.float16)).isfinite().all()


def test_him_ablations_have_no_weights_to_spare():
    names = {name.partition(".")[0] for name, _ in mining().named_parameters()}
    assert names == {"text", "visual"}
    assert not any("mixer" in name for name, _ in mining(align="attention").named_parameters())
    off = mining(enabled=False)
    assert {name.partition(".")[0] for name, _ in off.named_parameters()} == {"mixer"}
    text, question, image = inputs()
    mined, seen = off(text, question, image)
    assert torch.equal(mined, text[0]) and seen.shape == text[0].shape
    mined, seen = mining(visual=False)(text, question, image)
    assert seen is None and not torch.equal(mined, text[0])


def test_the_image_reads_the_text():
    """The repaired direction: another text changes what the image contributes."""
    model, (text, _, image) = mining().visual, inputs()
    told, _ = model.back(image[0], text[0], text[1])
    other, _ = model.back(image[0], text[0] + 1, text[1])
    assert (told - other).abs().max() > 1e-3


def test_questions():
    types = ["PER", "LOC", "ORG", "MISC"]
    asked = build_questions(QuestionOptions(), types)
    lead_in = "Which of the following types is the type of each entity?"
    assert asked == [f"{lead_in} PER, LOC, ORG, or MISC."]
    assert build_questions(QuestionOptions(text=""), types) == ["PER, LOC, ORG, or MISC."]
    assert build_questions(QuestionOptions(text=""), ["PER"]) == ["PER."]
    each = build_questions(QuestionOptions(mode="per_type"), ["LOC", "GENE"])
    assert each[0].startswith("Location: ") and each[1].startswith("GENE: ")
    assert build_questions(QuestionOptions(mode="learned"), types) == [""]
    assert build_questions(QuestionOptions(mode="none"), types) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"prompt_len": 40},
        {"prompt_len": -1},
        {"mode": "learned", "prompt_len": 0},
        {"mode": "learned", "prompt_depth": "deep"},
    ],
)
def test_question_options_are_checked(bad):
    with pytest.raises(ValueError, match="prompt_"):
        QuestionOptions(**bad)


def test_position_rows_are_resized():
    rows = torch.randn(49, 5)
    assert torch.equal(resize_grid(rows, 7), rows)
    assert resize_grid(rows, 4).shape == (16, 5)
    torch.testing.assert_close(resize_grid(torch.ones(49, 5), 2), torch.ones(4, 5))
    slope = torch.arange(7.0).repeat(7, 1).reshape(49, 1)  # grows from left to right only
    small = resize_grid(slope, 4).reshape(4, 4)
    assert (small.diff(dim=1) > 0).all() and small.diff(dim=0).abs().max() < 1e-5
