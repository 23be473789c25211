"""The full state of an unfinished training, replaced as a whole after each epoch.

`state/epochN/` is accelerate's state (weights, optimizer, generators), `state/best_K.safetensors`
the best weights so far, and `state/pointer.json`, swapped atomically, says which of them count.
A process killed at any moment therefore leaves the last whole epoch.
"""

import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from extract.atomic import write_json
from train.checkpoint import save_weights
from train.models.base import TaggingModel

logger = logging.getLogger(__name__)

POINTER = "pointer.json"


@dataclass
class Progress:
    """What is known after some epochs."""

    epoch: int = 0
    """Epochs done."""
    best_epoch: int = 0
    """The epoch whose weights are kept; 0 before the first."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The lines of metrics.jsonl."""


class StateFolder:
    """The folder `state/` of one run.

    Args:
        folder: it is made when needed.
        guard: digest of everything that decides the weights; a state of another guard is dropped.
    """

    def __init__(self, folder: Path, guard: str) -> None:
        self.folder = Path(folder)
        self.guard = guard

    def read(self) -> Progress:
        """Return the progress of an earlier process, or none."""
        pointer = self.folder / POINTER
        if not pointer.is_file():
            return Progress()
        found = json.loads(pointer.read_text(encoding="utf-8"))
        if found["guard"] != self.guard:
            logger.warning(
                "%s is of another spec, data, seed or code: it is dropped, training starts anew",
                self.folder,
            )
            return Progress()
        return Progress(**found["progress"])

    def load(self, accelerator: Accelerator, progress: Progress) -> None:
        """Bring weights, optimizer and generators to where `progress` left them."""
        accelerator.load_state(str(self._epoch_folder(progress.epoch)))

    def save_best(self, model: TaggingModel, epoch: int) -> None:
        """Write the weights of a new best epoch; the pointer does not name them yet."""
        save_weights(model, self.best_weights(epoch))

    def best_weights(self, epoch: int) -> Path:
        """Return the file of an epoch's weights."""
        return self.folder / f"best_{epoch}.safetensors"

    def save(self, accelerator: Accelerator, progress: Progress) -> None:
        """Write the state, swap the pointer, delete what it no longer names; for all processes."""
        target = self._epoch_folder(progress.epoch)
        if accelerator.is_main_process:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(target))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for path in target.iterdir():
                _sync(path)
            content = {"guard": self.guard, "progress": asdict(progress)}
            write_json(self.folder / POINTER, content)
            self._delete_all_but(
                {POINTER, target.name, self.best_weights(progress.best_epoch).name}
            )

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _epoch_folder(self, epoch: int) -> Path:
        return self.folder / f"epoch{epoch}"

    def _delete_all_but(self, names: set[str]) -> None:
        for path in self.folder.iterdir():
            if path.name in names:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Force a file to the disk, so that the pointer never names data that a crash can lose."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
