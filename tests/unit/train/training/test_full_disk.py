"""A disk that is full when the run folder is written: the error names the folder."""

import errno
import os
from pathlib import Path

import pytest

from extract.core.system import NamedSystemError
from tests.builders.train.dummy_system import Model, write_corpus
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")


def test_assets_that_do_not_fit_on_the_disk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "samples", splits=("train", "valid"))
    recipe = Recipe(epochs=1, batch_size=5, lr={"default": 0.05})
    spec = RunSpec(run="r", system="dummy", recipe=recipe)
    job = FitJob(spec, tmp_path / "samples", tmp_path / "run", seed=1, device="cpu")

    def full(self: Model, folder: Path) -> None:
        # As `write` says it: without the name of the file.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(NamedSystemError) as caught:
        patch.setattr(Model, "save_assets", full)
        fit(job)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(job.out / "assets")
    fit(job)
    assert (job.out / "model.safetensors").is_file()
