"""Attention in every precision: the same function, hidden positions unseen."""

import pytest
import torch
from torch.nn import functional

from train.blocks.attention import dot_product_attention


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 5, 8, generator=generator)
    keys, values = (torch.randn(2, 3, 7, 8, generator=generator) for _ in range(2))
    bias = torch.zeros(2, 1, 1, 7)
    bias[0, ..., 4:] = -torch.inf
    return query, keys, values, bias


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
def test_equals_its_definition(inputs, dtype, tolerance):
    query, keys, values, bias = inputs
    scores = torch.einsum("bqtd,bqsd->bqts", query.double(), keys.double()) / 8**0.5 + bias
    expected = scores.softmax(-1) @ values.double()
    found = dot_product_attention(*(tensor.to(dtype) for tensor in inputs))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hidden_positions_change_nothing_and_get_no_gradient(inputs, dtype):
    query, keys, values, bias = (tensor.to(dtype) for tensor in inputs)
    keys.requires_grad_(), values.requires_grad_()
    found = dot_product_attention(query, keys, values, bias)
    found.float().sum().backward()
    assert keys.grad[0, :, 4:].eq(0).all() and values.grad[0, :, 4:].eq(0).all()
    assert values.grad[1].ne(0).any()
    with torch.no_grad():
        others = keys.clone(), values.clone()
        for other in others:
            other[0, :, 4:] = 9.0
        assert torch.equal(dot_product_attention(query, *others, bias), found)


def test_dropout_drops_weights_in_bfloat16(inputs):
    query, keys, _, _ = (tensor.bfloat16() for tensor in inputs)
    ones = torch.ones_like(keys)
    torch.manual_seed(0)
    found = dot_product_attention(query, keys, ones, dropout=0.5)
    whole = dot_product_attention(query, keys, ones)
    torch.testing.assert_close(whole, torch.ones_like(whole))
    assert found.std() > 0.1  # the weights that are left do not sum to 1
    assert functional.mse_loss(found.mean(), whole.mean()) < 0.05
