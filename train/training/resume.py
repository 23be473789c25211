"""The full state of an unfinished training, replaced as a whole after each epoch.

`state/epochN/` is accelerate's state (weights, optimizer, generators), `state/best_K.safetensors`
the best weights so far, and `state/pointer.json`, swapped atomically, says which of them count and
what their checksums are. A process killed at any moment therefore leaves the last whole epoch, and
a state that was damaged on the disk is dropped, never continued. A finished training leaves the
pointer and one more name of its weights, until these have been scored.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from extract.core.digests import digest, file_sha256
from extract.core.errors import BusyError, StoreError
from extract.core.files import only_process, write_json
from extract.core.system import named_system_errors
from extract.networks.checkpoints.torch_files import load_plain
from train.systems.base import TaggingModel
from train.training.run_folder.checkpoint import save_weights
from train.training.run_folder.names import ASSETS, HISTORY, RUN, WEIGHTS

logger = logging.getLogger(__name__)

POINTER = "pointer.json"
FINISHED = "fit.run.json"


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
            is_begun = any(self.folder.glob("epoch*"))
            return self._dropped(f"{POINTER} is not there") if is_begun else Progress()
        try:
            found = json.loads(pointer.read_text(encoding="utf-8"))
            if found.pop("sha256") != digest(found):
                return self._dropped(f"{POINTER} does not match its checksum (bytes changed)")
            guard, files = found["guard"], dict(found["files"])
            progress = Progress(**found["progress"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self._dropped(f"{POINTER} is damaged ({error!r:.80})")
        if guard != self.guard:
            return self._dropped("is of another spec, data, seed or code")
        try:
            self._check(files)
        except StoreError as error:
            return self._dropped(str(error))
        return progress

    def is_of(self, guard: str) -> bool:
        """Return whether an unfinished training with this guard left its state here."""
        try:
            found = json.loads((self.folder / POINTER).read_text(encoding="utf-8"))
            return found["guard"] == guard
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False

    def _check(self, files: dict[str, str]) -> None:
        """Compare the files of the state with their checksums."""
        for name, expected in files.items():
            path = self.folder / name
            if not path.is_file():
                raise StoreError(f"{name} is not there")
            if file_sha256(path) != expected:
                raise StoreError(f"{name} does not match its checksum (bytes changed)")

    def _dropped(self, why: str) -> Progress:
        """Say that training starts anew, and why."""
        logger.warning("%s: %s: it is dropped, training starts anew", self.folder, why)
        return Progress()

    def load(self, accelerator: Accelerator, progress: Progress) -> None:
        """Bring weights, optimizer and generators to where `progress` left them.

        After the last epoch there is nothing to bring: the best weights are all that is kept.
        """
        folder = self._epoch_folder(progress.epoch)
        # A folder that the pointer does not name is half deleted: patience ended the training.
        if self._names(folder):
            for path in sorted(folder.glob("custom_checkpoint_*.pkl")):
                load_plain(path)  # accelerate unpickles the weight average whatever is in it
            accelerator.load_state(str(folder))

    def _names(self, folder: Path) -> bool:
        """Whether the pointer names files of a folder; `read` has compared them."""
        found = json.loads((self.folder / POINTER).read_text(encoding="utf-8"))
        return any(name.startswith(f"{folder.name}/") for name in found["files"])

    def save_best(self, model: TaggingModel, epoch: int) -> None:
        """Write the weights of a new best epoch; the pointer does not name them yet."""
        save_weights(model, self.best_weights(epoch))

    def best_weights(self, epoch: int) -> Path:
        """Return the file of an epoch's weights."""
        return self.folder / f"best_{epoch}.safetensors"

    def save(self, accelerator: Accelerator, progress: Progress) -> None:
        """Write the state, swap the pointer, delete what it no longer names; for all processes.

        Raises:
            OSError: it cannot be written; the state before it still counts.
        """
        target = self._epoch_folder(progress.epoch)
        with named_system_errors(target):
            if accelerator.is_main_process:
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir(parents=True)
            accelerator.wait_for_everyone()
            accelerator.save_state(str(target))
            accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            self._point_to(progress, target)

    def save_finished(self, progress: Progress) -> None:
        """Note that no epoch is left, so that a process killed from here on repeats none."""
        self._point_to(progress)

    def _point_to(self, progress: Progress, *states: Path) -> None:
        """Swap the pointer to these folders and the best weights; delete everything else."""
        best = self.best_weights(progress.best_epoch)
        files = [path for state in states for path in _files(state)]
        for path in files:
            _sync(path)
        sums = {path.relative_to(self.folder).as_posix(): file_sha256(path) for path in files}
        sums[best.name] = file_sha256(best)
        content = {"guard": self.guard, "progress": asdict(progress), "files": sums}
        write_json(self.folder / POINTER, {**content, "sha256": digest(content)})
        self._delete_all_but({POINTER, best.name, *(state.name for state in states)})

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


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file one more name, or a copy where the file system has no hard links."""
    target.unlink(missing_ok=True)  # of a killed process with this number
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_finished(run: Path, guard: str, times: dict[str, Any]) -> None:
    """Note that a run is finished: what decided it, the checksums of its files, how it went."""
    paths = [run / WEIGHTS, run / RUN, run / HISTORY, *_files(run / ASSETS)]
    sums = {path.relative_to(run).as_posix(): file_sha256(path) for path in paths}
    write_json(run / FINISHED, {**times, "guard": guard, "files": sums})


def read_finished(run: Path, guard: str) -> dict[str, Any] | None:
    """Return what `write_finished` noted where the run is finished and unchanged, else None."""
    try:
        found = json.loads((run / FINISHED).read_text(encoding="utf-8"))
        sums = found.pop("files")
        if found.pop("guard") != guard:
            return None
        is_whole = all(file_sha256(run / name) == expected for name, expected in sums.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if is_whole else None


def forget_finished(run: Path) -> None:
    """Delete the state that a finished training leaves, once its weights have been scored.

    Until then a run folder whose files were deleted, as Snakemake does with the outputs of a job
    that was killed before it could be recorded, gets them back without another epoch.
    """
    state = Path(run) / "state"
    if not state.is_dir():
        return
    try:
        with only_process(run):
            if _is_of_finished(run, state):
                for path in state.glob("best_*"):
                    path.unlink()
                shutil.rmtree(state)
    except (BusyError, OSError) as error:
        logger.info("%s stays: %s", state, error)


def _is_of_finished(run: Path, state: Path) -> bool:
    """Whether a state is of the training whose results the run folder holds, and has no epoch."""
    try:
        guards = [
            json.loads(path.read_text(encoding="utf-8"))["guard"]
            for path in (run / FINISHED, state / POINTER)
        ]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    return guards[0] == guards[1] and not any(state.glob("epoch*"))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sync(path: Path) -> None:
    """Force a file to the disk, so that the pointer never names data that a crash can lose."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
