"""Files without a seal, whose bookkeeping HDF5 does not survive."""

from pathlib import Path

import pytest

from extract.errors import StoreError
from extract.store import FeatureStore, trial, verify_store
from tests.unit.extract.feature_files import write_merged

ARCHIVE = Path(__file__).parents[2] / "data" / "archives" / "v1.0.h5"


@pytest.mark.parametrize("read", [verify_store, lambda path: len(FeatureStore(path))])
def test_a_file_that_hdf5_reads_for_ever_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read
) -> None:
    monkeypatch.setattr(trial, "_SECONDS", 2)
    path = write_merged(tmp_path / "m.h5", 12)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the seal: it is none any more
    data[2897] ^= 8  # where HDF5 looks for the attributes of the file
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"m\.h5: HDF5 does not survive reading it \(SIGXCPU\)"):
        read(path)


def test_an_old_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = trial.subprocess.run
    monkeypatch.setattr(
        trial.subprocess, "run", lambda *a, **k: asked.append(original(*a, **k)) or asked[-1]
    )
    with FeatureStore(ARCHIVE) as store:
        assert len(store) > 0
    assert [ended.returncode for ended in asked] == [0]


def test_a_sealed_file_needs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial.subprocess, "run", lambda *a, **k: pytest.fail("a process"))
    assert len(FeatureStore(write_merged(tmp_path / "m.h5", 3))) == 3
