"""The lines of metrics.jsonl: mean losses of an epoch, the score that selects it, the file."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from extract.core.errors import MnerError
from extract.core.files import write_text
from train.data.examples import ModelOutput


class LossSums:
    """Running sums of loss and parts on the device: nothing is read back before the epoch ends."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, output: ModelOutput, size: int) -> None:
        """Add one batch of `size` samples."""
        self._count += size
        for name, value in {**output.parts, "loss": output.loss}.items():
            addend = value.detach().float() * size
            self._sums[name] = self._sums[name] + addend if name in self._sums else addend

    def means(self, epoch: int, accelerator: Accelerator) -> dict[str, Any]:
        """Return means over the samples of all processes.

        Raises:
            MnerError: the loss is not finite; training on would be useless.
        """
        count = torch.tensor(float(self._count), device=accelerator.device, dtype=torch.float64)
        count = accelerator.reduce(count, "sum").item()
        means = {
            name: (accelerator.reduce(value, "sum") / count).item()
            for name, value in self._sums.items()
        }
        loss = means.pop("loss")
        if not math.isfinite(loss):
            raise MnerError(
                f"epoch {epoch}: the loss is {loss}. Lower recipe.lr, set recipe.clip (e.g. 5.0), "
                "or use precision fp32."
            )
        return {"loss": loss, "parts": means}


def selection_score(valid_f1: dict[str, float], view: str) -> float:
    """Return the F1 that selects the epoch: of one view, or the mean over all."""
    return sum(valid_f1.values()) / len(valid_f1) if view == "mean" else valid_f1[view]


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write metrics.jsonl, one line an epoch."""
    write_text(path, "".join(json.dumps(line, sort_keys=True) + "\n" for line in history))
