"""The CRF against enumeration of all tag sequences, pytorch-crf and hand-computed numbers."""

import itertools

import pytest
import torch
import torchcrf

from tests.builders.train.ita_tiny import GOLDEN_MM, GOLDEN_TEXT, golden_crf
from train.blocks.crf import LinearChainCRF


def enumerate_sequences(crf, emissions):
    """Return all sequences, shape (K^n, n), of one sentence, shape (n, K), and their scores."""
    n, k = emissions.shape
    sequences = torch.tensor(list(itertools.product(range(k), repeat=n)))
    scores = crf.start_transitions[sequences[:, 0]] + crf.end_transitions[sequences[:, -1]]
    for i in range(n):
        scores = scores + emissions[i, sequences[:, i]]
    for i in range(1, n):
        scores = scores + crf.transitions[sequences[:, i - 1], sequences[:, i]]
    return sequences, scores


def random_case(seed, k, lengths, dtype=torch.float64):
    """Return (crf, emissions, gold, mask) with sentences of the given lengths."""
    torch.manual_seed(seed)
    crf = LinearChainCRF(k, init="normal").to(dtype)
    width = max(lengths)
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    emissions = torch.randn(len(lengths), width, k, dtype=dtype) * 2
    return crf, emissions, torch.randint(k, (len(lengths), width)), mask


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_all_quantities_equal_the_sum_over_every_path(k, dtype, tolerance):
    lengths = [1, 2, 3, 4, 5]
    crf, emissions, gold, mask = random_case(k, k, lengths, dtype)
    with torch.no_grad():
        log_z, nll = crf.log_z(emissions, mask), crf.nll(emissions, gold, mask)
        posteriors = crf.log_marginals(emissions, mask).exp()
        paths, best = crf.viterbi(emissions, mask)
        for b, n in enumerate(lengths):
            sequences, scores = enumerate_sequences(crf, emissions[b, :n])
            expected_z = torch.logsumexp(scores, 0)
            torch.testing.assert_close(log_z[b], expected_z, atol=tolerance, rtol=tolerance)
            probabilities = (scores - log_z[b]).exp()
            assert probabilities.sum().item() == pytest.approx(1, abs=tolerance)
            index = (sequences == gold[b, :n]).all(1).nonzero().item()
            expected = expected_z - scores[index]
            torch.testing.assert_close(nll[b], expected, atol=tolerance, rtol=tolerance)
            assert nll[b] >= -tolerance  # no path is more likely than 1
            table = torch.stack(
                [torch.bincount(tags, probabilities, k) for tags in sequences.unbind(1)]
            )
            torch.testing.assert_close(posteriors[b, :n], table, atol=tolerance, rtol=0)
            ones = torch.ones(n, dtype=dtype)
            torch.testing.assert_close(posteriors[b, :n].sum(1), ones, atol=tolerance, rtol=0)
            assert paths[b] == sequences[scores.argmax()].tolist()
            torch.testing.assert_close(best[b], scores.max(), atol=tolerance, rtol=tolerance)


def test_partition_is_the_same_at_every_word():
    crf, emissions, _, mask = random_case(0, 4, [5, 3, 1])
    alphas = torch.stack(crf._forward_scores(emissions, mask), 1)
    betas = torch.stack(crf._backward_scores(emissions, mask), 1)
    per_word = torch.logsumexp(alphas + betas, 2)
    expected = crf.log_z(emissions, mask)[:, None].expand_as(per_word)
    torch.testing.assert_close(per_word[mask], expected[mask], atol=1e-10, rtol=0)


def test_gradient_of_log_z_is_the_posterior():
    crf, emissions, _, mask = random_case(1, 4, [5, 2, 1])
    emissions.requires_grad_()
    (gradient,) = torch.autograd.grad(crf.log_z(emissions, mask).sum(), emissions)
    posteriors = crf.log_marginals(emissions, mask).exp() * mask[..., None]
    torch.testing.assert_close(gradient, posteriors, atol=1e-10, rtol=0)


def test_posteriors_ignore_a_constant_on_one_word():
    crf, emissions, _, mask = random_case(2, 4, [4, 3])
    shifted = emissions.clone()
    shifted[:, 1] += 7.5
    torch.testing.assert_close(
        crf.log_marginals(shifted, mask), crf.log_marginals(emissions, mask), atol=1e-10, rtol=0
    )


def test_marginals_match_finite_differences():
    crf, emissions, _, mask = random_case(3, 3, [3, 2])
    emissions.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: crf.log_marginals(e, mask), emissions)


@pytest.mark.parametrize("seed", range(5))
def test_parity_with_pytorch_crf(seed):
    lengths = [7, 1, 4, 12, 2]
    crf, emissions, gold, mask = random_case(seed, 9, lengths, torch.float32)
    reference = torchcrf.CRF(9, batch_first=True)
    reference.load_state_dict(crf.state_dict())
    torch.testing.assert_close(
        crf.nll(emissions, gold, mask), -reference(emissions, gold, mask, reduction="none")
    )
    assert crf.viterbi(emissions, mask)[0] == reference.decode(emissions, mask)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -1e30])
def test_garbage_in_the_padding_changes_nothing(garbage):
    crf, emissions, gold, mask = random_case(4, 5, [6, 2, 1], torch.float32)
    dirty = emissions.masked_fill(~mask[..., None], garbage).requires_grad_()
    dirty_gold = gold.masked_fill(~mask, -100)
    torch.testing.assert_close(crf.nll(dirty, dirty_gold, mask), crf.nll(emissions, gold, mask))
    marginals = crf.log_marginals(dirty, mask)
    torch.testing.assert_close(marginals, crf.log_marginals(emissions, mask))
    assert (marginals[~mask] == 0).all()
    assert crf.viterbi(dirty, mask)[0] == crf.viterbi(emissions, mask)[0]
    (crf.nll(dirty, dirty_gold, mask).sum() + marginals.sum()).backward()
    assert dirty.grad.isfinite().all() and (dirty.grad[~mask] == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in crf.parameters())


def test_batch_equals_single_sentences():
    lengths = [6, 3, 1]
    crf, emissions, gold, mask = random_case(5, 5, lengths, torch.float32)
    together = crf.log_marginals(emissions, mask)
    for b, n in enumerate(lengths):
        one = slice(b, b + 1)
        alone = crf.log_marginals(emissions[one, :n], mask[one, :n])
        torch.testing.assert_close(together[one, :n], alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            crf.nll(emissions, gold, mask)[one],
            crf.nll(emissions[one, :n], gold[one, :n], mask[one, :n]),
        )


def test_runs_in_float32_under_autocast():
    crf, emissions, gold, mask = random_case(6, 5, [4, 2], torch.float32)
    half = emissions.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = crf.nll(half, gold, mask), crf.log_marginals(half, mask)
    outside = crf.nll(half.float(), gold, mask), crf.log_marginals(half.float(), mask)
    for a, b in zip(inside, outside, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_initialisation():
    torch.manual_seed(0)
    assert LinearChainCRF(30).transitions.abs().max() <= 0.1
    assert 0.9 < LinearChainCRF(30, init="normal").transitions.std() < 1.1
    with pytest.raises(ValueError, match="init must be"):
        LinearChainCRF(3, init="xavier")


@pytest.mark.parametrize(
    "mask", [torch.tensor([[True, False, True]]), torch.tensor([[False, True, True]])]
)
def test_refuses_a_mask_that_is_no_prefix(mask):
    with pytest.raises(ValueError, match="mask"):
        LinearChainCRF(3).log_z(torch.zeros(1, 3, 3), mask)


@pytest.mark.parametrize(
    ("emissions", "log_z", "nll", "best", "posteriors"),
    [
        (
            GOLDEN_TEXT,
            4.92780002,
            1.02780002,
            3.9,
            [
                [0.815732, 0.144934, 0.039334],
                [0.270791, 0.556714, 0.172495],
                [0.187953, 0.257935, 0.554112],
            ],
        ),
        (
            GOLDEN_MM,
            5.70248470,
            0.50248470,
            5.2,
            [
                [0.783640, 0.169855, 0.046505],
                [0.059522, 0.817799, 0.122679],
                [0.072799, 0.092372, 0.834829],
            ],
        ),
    ],
    ids=["text", "mm"],
)
def test_numbers_of_a_worked_example(emissions, log_z, nll, best, posteriors):
    crf, mask = golden_crf(), torch.ones(1, 3, dtype=torch.bool)
    e = torch.tensor([emissions], dtype=torch.float64)
    assert crf.log_z(e, mask).item() == pytest.approx(log_z, abs=1e-8)
    assert crf.nll(e, torch.tensor([[0, 1, 2]]), mask).item() == pytest.approx(nll, abs=1e-8)
    paths, scores = crf.viterbi(e, mask)
    assert paths == [[0, 1, 2]]
    assert scores.item() == pytest.approx(best, abs=1e-9)
    expected = torch.tensor([posteriors], dtype=torch.float64)
    torch.testing.assert_close(crf.log_marginals(e, mask).exp(), expected, atol=1e-6, rtol=0)
