"""Which floating-point precision networks are computed in: bfloat16 where a machine has it.

A processor without instructions for bfloat16 computes it all the same, by torch's emulation: a
matrix product then takes some ninety times as long as in float32, where the processor has AVX2
alone, and some five times with AVX-512.
"""

import logging
import os
import platform
import time
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]

# Values of ONEDNN_MAX_CPU_ISA below the first instructions for bfloat16. The variable keeps oneDNN,
# which computes torch's matrix products and convolutions, from using all of the processor.
_WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}

_PROBE_SIDE = 256
_PROBE_TURNS = 3


def native_bfloat16(device: str = "auto") -> bool:
    """Return whether a device computes bfloat16 by instructions of its own.

    Args:
        device: `auto` (the GPU where there is one), `cpu` or `cuda`. The limits that the variables
            ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA set for the processor are kept.
    """
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not torch.backends.mkldnn.is_available():
        return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    return (
        torch.cpu._is_avx512_bf16_supported()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and limit.upper() not in _WITHOUT_BFLOAT16
    )


def resolve_precision(precision: str, device: str = "auto") -> Precision:
    """Return the precision to compute in.

    Args:
        precision: `fp32`, `bf16`, or `auto`: bf16 where the device computes it natively.
        device: as in `native_bfloat16`.
    """
    if precision == "auto":
        return "bf16" if native_bfloat16(device) else "fp32"
    return "bf16" if precision == "bf16" else "fp32"


def warn_if_emulated(precision: str, device: str = "auto") -> None:
    """Warn of bfloat16 on a machine that emulates it, with what a matrix product costs there."""
    if precision == "bf16" and not native_bfloat16(device):
        logger.warning(
            "bfloat16 is emulated on this machine: a matrix product takes %.0f times as long as in "
            "float32. Results are those of bfloat16; `auto` or float32 is what is fast here.",
            emulation_cost(device),
        )


@cache
def emulation_cost(device: str = "auto") -> float:
    """Return how many times longer a matrix product takes in bfloat16 than in float32."""
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
