"""A state folder of somebody else cannot run code when training resumes from it."""

from pathlib import Path

import pytest
import torch

from extract.core.errors import DataError
from tests.builders.extract.evil_pickles import Evil, as_zip
from train.training.accelerator import create_accelerator
from train.training.optim import weight_average
from train.training.resume import Progress, StateFolder


@pytest.mark.parametrize(
    "name", ["custom_checkpoint_0.pkl", "optimizer.bin", "random_states_0.pkl"]
)
def test_code_in_a_state_does_not_run(tmp_path: Path, name: str) -> None:
    accelerator = create_accelerator("cpu", "fp32")
    model = torch.nn.Linear(2, 2)
    accelerator.register_for_checkpointing(weight_average(model, 0.5))
    accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    state = StateFolder(tmp_path / "state", "guard")
    folder = state._epoch_folder(1)
    state.folder.mkdir()
    state.best_weights(1).write_bytes(b"")
    state.save(accelerator, Progress(epoch=1, best_epoch=1))
    state.load(accelerator, Progress(epoch=1))
    marker = tmp_path / "pwned"
    as_zip(folder / name, {"a": Evil(marker)})
    # accelerate refuses pickles in its own files, each in its way, or passes over them.
    try:
        state.load(accelerator, Progress(epoch=1))
    except DataError as error:
        assert name in str(error)
    except Exception as error:
        assert "weights" in str(error).lower()
    assert not marker.exists()


def test_variables_of_accelerate_change_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    accelerator = create_accelerator("cpu", "fp32")
    assert (accelerator.gradient_accumulation_steps, accelerator.mixed_precision) == (1, "no")
