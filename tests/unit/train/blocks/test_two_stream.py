"""Taken-apart layers equal the layers of transformers; prefixes, masks and noise."""

import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

from extract.core.errors import ConfigError
from train.blocks.two_stream import (
    KeyValues,
    add_uniform_noise,
    attend,
    mask_bias,
    merge_heads,
    split_heads,
    text_layers,
    text_projections,
    text_update,
    vision_layers,
    vision_projections,
    vision_update,
)

MASK = torch.tensor([[True] * 5, [True, True, True, False, False]])


def clip_tower() -> CLIPVisionModel:
    config = CLIPVisionConfig(
        **{"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3},
        **{"intermediate_size": 48, "image_size": 32, "patch_size": 16},
    )
    return CLIPVisionModel(config).eval()


@pytest.mark.parametrize("family", ["bert", "roberta", "xlmr"])
def test_text_layers_equal_the_encoder(tiny_encoder, family):
    encoder = AutoModel.from_pretrained(tiny_encoder(family)).eval()
    pad = encoder.config.pad_token_id
    ids = torch.randint(10, 50, (2, 5)).masked_fill(~MASK, pad)
    expected = encoder(input_ids=ids, attention_mask=MASK.long()).last_hidden_state
    states = encoder.embeddings(input_ids=ids)
    for layer in text_layers(encoder):
        query, own = text_projections(layer, states, mask_bias(MASK, states.dtype))
        states = text_update(layer, states, query, own)
    torch.testing.assert_close(states[MASK], expected[MASK], atol=1e-5, rtol=0)


def test_vision_layers_equal_the_tower():
    tower = clip_tower()
    image = torch.randn(2, 3, 32, 32)
    states = tower.pre_layrnorm(tower.embeddings(image))
    bias = torch.zeros(states.shape[:2])
    for layer in vision_layers(tower):
        query, own = vision_projections(layer, states, bias)
        states = vision_update(layer, states, query, own)
    expected = tower(image).last_hidden_state
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def random_source(length: int, mask: torch.Tensor | None = None) -> KeyValues:
    keys, values = torch.randn(2, 2, 3, length, 4, dtype=torch.float64).unbind(0)
    mask = torch.ones(2, length, dtype=torch.bool) if mask is None else mask
    return KeyValues(keys, values, mask_bias(mask, torch.float64))


def test_attention_against_the_definition():
    torch.manual_seed(0)
    own, prefix = random_source(5, MASK), random_source(3)
    query = torch.randn(2, 3, 6, 4, dtype=torch.float64)
    got = attend(query, own.after(prefix))
    keys = torch.cat([prefix.keys, own.keys], dim=2)
    scores = torch.einsum("bhqd,bhkd->bhqk", query, keys) / 2 + torch.cat(
        [prefix.bias, own.bias], dim=1
    ).view(2, 1, 1, 8)
    weights = scores.softmax(-1)
    assert (weights[1, ..., 6:] == 0).all()
    expected = weights @ torch.cat([prefix.values, own.values], dim=2)
    torch.testing.assert_close(got, merge_heads(expected))


def test_hidden_positions_reach_neither_values_nor_gradients():
    torch.manual_seed(0)
    source, query = random_source(5, MASK), torch.randn(2, 3, 6, 4, dtype=torch.float64)
    expected = attend(query, source)
    changed = source.keys.masked_fill(~MASK[:, None, :, None], 7.0).requires_grad_(True)
    got = attend(query, KeyValues(changed, source.values, source.bias))
    torch.testing.assert_close(got, expected)
    got.sum().backward()
    assert (changed.grad.transpose(1, 2)[~MASK] == 0).all() and changed.grad.isfinite().all()


def test_heads_are_slices_of_the_channels():
    states = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    heads = split_heads(states, 2)
    assert torch.equal(heads[:, 1], states[..., 4:])
    assert torch.equal(merge_heads(heads), states)


def test_noise_is_bounded_and_fills_its_range():
    states = torch.zeros(4, 30, 16)
    noisy = add_uniform_noise(states, 5.0, 40)
    bound = 5 / (40 * 16) ** 0.5
    assert 0.95 * bound < noisy.abs().max() <= bound and noisy.mean().abs() < 0.05 * bound
    assert add_uniform_noise(states, 0.0, 40) is states


def test_published_noise_amplitudes():
    for length, bound in ((40, 0.028527), (110, 0.017202)):
        noisy = add_uniform_noise(torch.zeros(8, length, 768), 5.0, length)
        assert noisy.abs().max().item() == pytest.approx(bound, rel=1e-4)


def test_other_architectures_are_refused():
    bert = BertModel(BertConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(ConfigError, match="vision: 'bert' is not a CLIP"):
        vision_layers(bert)
    with pytest.raises(ConfigError, match="encoder: 'clip_vision_model' is not built like BERT"):
        text_layers(clip_tower())
