"""The precision that networks are computed in: bfloat16 where a machine is faster in it.

Instructions for bfloat16 do not say so. A matrix product in bfloat16 was seen to take, against
float32, ninety times as long where torch emulates it with AVX2, five times with AVX-512, and twice
on an Intel processor that has AVX512_BF16 but no AMX. So a processor is asked by a product, which
takes milliseconds; a GPU is asked whether it has the instructions.
"""

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]

# Casts of weights and inputs eat up a small gain.
_WORTH_IT = 0.8

_PROBE_SIDE = 256
_PROBE_TURNS = 5


def prefers_bfloat16(device: str = "auto") -> bool:
    """Return whether a device computes faster in bfloat16 than in float32.

    Args:
        device: `auto` (the GPU where there is one), `cpu` or `cuda`. A GPU is asked whether it has
            instructions for bfloat16, a processor is measured. What the variables
            ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA allow it counts.
    """
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bfloat16_cost("cpu") <= _WORTH_IT


def resolve_precision(precision: str, device: str = "auto") -> Precision:
    """Return the precision to compute in.

    Args:
        precision: `fp32`, `bf16`, or `auto`: bf16 where the device is faster in it.
        device: as in `prefers_bfloat16`.
    """
    if precision == "auto":
        return "bf16" if prefers_bfloat16(device) else "fp32"
    return "bf16" if precision == "bf16" else "fp32"


def warn_if_slower(precision: str, device: str = "auto") -> None:
    """Warn of bfloat16 on a machine that is slower in it, with what a product costs there."""
    if precision == "bf16" and not prefers_bfloat16(device):
        logger.warning(
            "bfloat16 is slow on this machine: a matrix product takes %.1f times as long as in "
            "float32. Results are those of bfloat16; `auto` or float32 is what is fast here.",
            bfloat16_cost(device),
        )


@cache
def bfloat16_cost(device: str = "auto") -> float:
    """Return how many times as long a matrix product takes in bfloat16 as in float32.

    Args:
        device: as in `prefers_bfloat16`; it is measured, once a process.
    """
    import torch

    place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    matrix = torch.ones(_PROBE_SIDE, _PROBE_SIDE, device=place)
    return _product_seconds(matrix.bfloat16()) / _product_seconds(matrix)


def _product_seconds(matrix: "torch.Tensor") -> float:
    """Return the shortest time of a few matrix products, the first of which is not counted."""
    import torch

    found = []
    for _ in range(_PROBE_TURNS + 1):
        started = time.perf_counter()
        matrix @ matrix
        if matrix.is_cuda:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return min(found[1:])
