"""Device, precision, seeds and determinism of a process: set here and nowhere else."""

import logging
import os
import random
import resource
import sys
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from extract.core.errors import ConfigError
from extract.core.launch import launched_processes
from extract.core.system import keep_freed_memory
from extract.networks.precision import resolve_precision, warn_if_slower


def create_accelerator(device: str, precision: str) -> Accelerator:
    """Return accelerate's handle of device, autocast and processes.

    Args:
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        precision: `fp32` or `bf16` (autocast), or `auto`: see `extract.networks.precision`.

    Raises:
        ConfigError: `cuda` without a GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no GPU. Use --device auto or cpu.")
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    # accelerate keeps one state a process; a second run in it may use another precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    # Not use_deterministic_algorithms(): it imports the compiler, which costs seconds a process.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False
    warn_if_slower(precision, device)
    mixed = {"fp32": "no", "bf16": "bf16"}[resolve_precision(precision, device)]
    # accelerate would take settings from them that change the weights, accumulation for one.
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]
    accelerator = Accelerator(
        mixed_precision=mixed,
        # Said outright: asked for nothing, processes without a GPU would not find one another.
        cpu=device == "cpu" or not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.device.type == "cpu":
        keep_freed_memory()  # every update frees gradients of more than 32 MiB
    if accelerator.num_processes != launched_processes():
        raise ConfigError(
            f"{launched_processes()} processes were started, but each sees "
            f"{accelerator.num_processes}: they would train apart. Start them with torchrun, or "
            "with accelerate launch --multi_gpu (also for CPUs)."
        )
    if not accelerator.is_main_process:
        logging.getLogger().setLevel(logging.WARNING)  # the first process speaks for all
    return accelerator


def seed_all(*key: int) -> None:
    """Seed every generator from a tuple of numbers such as (seed, epoch, rank)."""
    state = np.random.SeedSequence(key).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[0]))
    torch.manual_seed(int(state[1]))


def set_threads(count: int | None) -> None:
    """Limit torch to so many CPU threads; None leaves OMP_NUM_THREADS or its default."""
    if count:
        torch.set_num_threads(count)


def used_resources(accelerator: Accelerator) -> dict[str, Any]:
    """Return device, threads and peak memory, for the files that may differ between machines."""
    device = accelerator.device
    # Linux counts kibibytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    used = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "peak_rss_mb": round(peak / 2**20),
    }
    if device.type == "cuda":
        used["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    return used
