"""A fuzz trial may be refused its own input, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from extract.core.errors import DataError
from extract.images.files import UnreadableImage
from extract.images.folder import ImageFolder
from tests.fuzz.cases import conll, hdf5, ids, images, texts
from tests.fuzz.refusal import may_refuse
from tests.fuzz.worker import _finding_of


def refuse(*_: object) -> None:
    raise DataError("refused")


def refuse_image(*_: object) -> None:
    raise UnreadableImage("refused")


def find_nothing(*_: object) -> None:
    return None


def any_finding(case: object, tmp_path: Path) -> str:
    """Return the first finding of some trials, nothing where there is none."""
    for number in range(300):
        folder = tmp_path / str(number)
        folder.mkdir()
        if finding := _finding_of(case, folder, f"seed {number}"):
            return finding
    return ""


def test_only_the_hostile_input_may_be_refused(tmp_path: Path) -> None:
    def refused(folder: Path, rng: object) -> None:
        with may_refuse():
            refuse()

    assert _finding_of(SimpleNamespace(fuzz=refused), tmp_path, "x") is None
    assert "DataError: refused" in _finding_of(SimpleNamespace(fuzz=refuse), tmp_path, "x")


@pytest.mark.parametrize(
    ("case", "name", "broken"),
    [
        (conll, "read_samples", refuse),
        (images, "decode_image", refuse_image),
        (ids, "read_images", refuse),
        (ids, "write_images", refuse),
        (texts, "write_samples", refuse),
        (texts, "write_images", refuse),
        (hdf5, "write_seal", refuse),
    ],
)
def test_what_must_be_read_again_is_not_refused_in_silence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: object,
    name: str,
    broken: Callable[..., object],
) -> None:
    monkeypatch.setattr(case, name, broken)
    assert "refused" in any_finding(case, tmp_path)


def test_an_index_without_the_files_of_its_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFolder, "find", find_nothing)
    assert "is a file, found None" in any_finding(ids, tmp_path)
