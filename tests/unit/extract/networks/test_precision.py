"""Which precision a machine computes in, on this processor and on one that is imitated."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from extract.networks import precision
from extract.networks.precision import prefers_bfloat16, resolve_precision, warn_if_slower
from tests.builders.processors import AVX2

# The oracle is a product of another size, timed by the standard library.
ASK = """
from timeit import repeat
import torch
from extract.networks.precision import bfloat16_cost, resolve_precision
torch.set_num_threads(1)
matrix = torch.ones(384, 384)
kinds = matrix.bfloat16(), matrix
cost = [min(repeat("m @ m", globals={"m": m}, number=1, repeat=20)) for m in kinds]
print(resolve_precision("auto", "cpu"), bfloat16_cost("cpu"), cost[0] / cost[1])
"""


def asked(**limits: str) -> tuple[str, float, float]:
    """Return the precision, its own cost and the oracle's, of a fresh process under limits."""
    environment = {name: value for name, value in os.environ.items() if name not in AVX2}
    answer = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**environment, **limits},
        capture_output=True,
        text=True,
        check=True,
    )
    chosen, cost, oracle = answer.stdout.split()
    return chosen, float(cost), float(oracle)


def test_a_processor_with_avx2_alone_computes_in_float32():
    chosen, cost, oracle = asked(**AVX2)
    assert chosen == "fp32" and cost > 3 and oracle > 3


@pytest.mark.parametrize("isa", [None, "AVX512_CORE", "AVX512_CORE_BF16"])
def test_the_faster_precision_is_taken_whatever_the_processor_may_use(isa):
    chosen, cost, oracle = asked(**({"ONEDNN_MAX_CPU_ISA": isa} if isa else {}))
    assert chosen == ("bf16" if cost <= 0.8 else "fp32")
    if not 0.5 < oracle < 1.3:  # between them both are as good
        assert chosen == ("bf16" if oracle < 1 else "fp32")
        assert cost == pytest.approx(oracle, rel=0.6)


@pytest.mark.parametrize(("cost", "expected"), [(0.3, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_only_a_gain_that_casts_do_not_eat_up_is_one(monkeypatch, cost, expected):
    monkeypatch.setattr(precision, "bfloat16_cost", lambda device: cost)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("fp32", "cpu") == "fp32" and resolve_precision("bf16", "cpu") == "bf16"


@pytest.mark.parametrize("has_instructions", [True, False])
def test_a_gpu_is_asked_for_its_instructions(monkeypatch, has_instructions):
    def is_supported(including_emulation: bool = True) -> bool:
        return has_instructions or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(precision, "bfloat16_cost", lambda device: 7.0)
    assert prefers_bfloat16("auto") is prefers_bfloat16("cuda") is has_instructions
    assert not prefers_bfloat16("cpu")


def test_slow_bfloat16_is_announced_with_what_it_costs(monkeypatch, caplog):
    monkeypatch.setattr(precision, "bfloat16_cost", lambda device: 71.8)
    with caplog.at_level(logging.WARNING):
        warn_if_slower("fp32", "cpu")
        warn_if_slower("auto", "cpu")
        assert not caplog.messages
        warn_if_slower("bf16", "cpu")
    assert "bfloat16 is slow" in caplog.text and "71.8 times" in caplog.text


def test_fast_bfloat16_is_not_announced(monkeypatch, caplog):
    monkeypatch.setattr(precision, "bfloat16_cost", lambda device: 0.4)
    warn_if_slower("bf16", "cpu")
    assert not caplog.messages
