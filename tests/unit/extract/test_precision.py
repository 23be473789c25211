"""Which precision a machine computes in, on this processor and on one that is imitated."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from extract import precision
from extract.precision import resolve_precision, warn_if_emulated
from tests.builders.processors import AVX2

ASK = (
    "from extract.precision import native_bfloat16, resolve_precision\n"
    "print(native_bfloat16('cpu'), resolve_precision('auto', 'cpu'))"
)


def asked(**limits: str) -> str:
    """Return what a fresh process under limits of the processor says."""
    environment = {name: value for name, value in os.environ.items() if name not in AVX2}
    answer = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**environment, **limits},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


def test_a_processor_with_avx2_alone_computes_in_float32():
    assert asked(**AVX2) == "False fp32"


@pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="this processor has no bfloat16"
)
@pytest.mark.parametrize(
    ("limits", "is_native"),
    [
        ({}, True),
        ({"ATEN_CPU_CAPABILITY": "avx2"}, False),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, False),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, False),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, True),
    ],
    ids=str,
)
def test_each_limit_of_a_processor_with_bfloat16_counts(limits, is_native):
    assert asked(**limits) == f"{is_native} {'bf16' if is_native else 'fp32'}"


def test_what_is_named_is_kept_whatever_the_processor():
    for is_native in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(precision, "native_bfloat16", lambda device, found=is_native: found)
            assert resolve_precision("fp32") == "fp32" and resolve_precision("bf16") == "bf16"
            assert resolve_precision("auto") == ("bf16" if is_native else "fp32")


def test_emulated_bfloat16_is_announced_with_what_it_costs(monkeypatch, caplog):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: False)
    monkeypatch.setattr(precision, "emulation_cost", lambda device: 71.8)
    with caplog.at_level(logging.WARNING):
        warn_if_emulated("fp32", "cpu")
        warn_if_emulated("auto", "cpu")
        assert not caplog.messages
        warn_if_emulated("bf16", "cpu")
    assert "bfloat16 is emulated" in caplog.text and "72 times" in caplog.text


def test_native_bfloat16_is_not_announced(monkeypatch, caplog):
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: True)
    warn_if_emulated("bf16", "cpu")
    assert not caplog.messages


def test_the_cost_is_measured_on_the_processor_itself():
    assert 0.05 < precision.emulation_cost("cpu") < 1000
