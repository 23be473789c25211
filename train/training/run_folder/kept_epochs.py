"""The weights of every epoch of a run, kept for diagnosis: `epochs/epoch003.safetensors`.

They decide nothing: the run is its `model.safetensors`, the epoch selected on valid.
"""

import shutil
from pathlib import Path

from train.systems.base import TaggingModel
from train.training.run_folder.checkpoint import save_weights


class KeptEpochs:
    """The folder `epochs/` of one run.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self.folder = Path(run) / "epochs"

    def path(self, epoch: int) -> Path:
        """Return the file of an epoch's weights."""
        return self.folder / f"epoch{epoch:03d}.safetensors"

    def save(self, model: TaggingModel, epoch: int) -> None:
        """Write the weights of an epoch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_weights(model, self.path(epoch))

    def missing(self, n_epochs: int) -> list[int]:
        """Return those of the first epochs that are not there."""
        return [epoch for epoch in range(1, n_epochs + 1) if not self.path(epoch).is_file()]

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
