"""Each system trained from files in published form, through the real loop, into a run folder.

The learning rates are 0, so that the run must end with the numbers of the files.
"""

from pathlib import Path

import pytest
import torch

from tests.builders.hub.families import Published, lay_once
from tests.builders.train.dummy_system import write_corpus
from tests.builders.train.small_systems import SYSTEMS, write_store
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import load_run
from train.training.run_spec import RunSpec


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Factory: family -> (folder, tensors as in the file)."""
    return lay_once(tmp_path_factory)


def values(tensors: dict[str, torch.Tensor]) -> dict[bytes, str]:
    """Return the names by the numbers, of matrices alone."""
    return {tensor.numpy().tobytes(): name for name, tensor in tensors.items() if tensor.ndim > 1}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", SYSTEMS)
def test_a_run_holds_the_numbers_of_its_files(
    published: Published, tmp_path: Path, case: str, precision: str
) -> None:
    system, roles, stores, options = SYSTEMS[case]
    corpus = write_corpus(tmp_path / "samples", splits=("train", "valid"), count=4)
    ids = [sample.image_id for samples in corpus.values() for sample in samples]
    spec = RunSpec(
        run="r",
        system=system,
        options=options,
        recipe=Recipe(
            epochs=1, batch_size=2, lr={"default": 0.0}, weight_decay=0.0, precision=precision
        ),
    )
    job = FitJob(
        spec,
        tmp_path / "samples",
        tmp_path / "run",
        1,
        stores={
            role: write_store(tmp_path / f"{role}.h5", ids, pictures)
            for role, pictures in stores.items()
        },
        weights={role: published(name)[0] for role, name in roles.items()},
        device="cpu",
    )
    fit(job)
    model, _ = load_run(tmp_path / "run")
    held = values(model.state_dict())
    for name in roles.values():
        # Heads and the other tower are not the system's; the layers are, whole.
        layers = {
            key: tensor
            for key, tensor in published(name)[1].items()
            if "encoder.layer" in key and not key.startswith("text_model.")
        }
        lost = {key for number, key in values(layers).items() if number not in held}
        assert len(layers) > 20 and not lost, (name, sorted(lost)[:5])
