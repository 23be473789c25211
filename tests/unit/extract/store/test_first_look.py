"""Files whose bookkeeping HDF5 does not survive: without a seal, or with that of a stranger."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from extract.__main__ import main
from extract.core.errors import StoreError
from extract.store import FeatureStore, first_look, verify_store
from extract.store.opening import check_foreign
from extract.store.seal import check_seal, write_seal
from tests.builders.extract.feature_files import change_file, write_merged

ARCHIVE = Path(__file__).parents[3] / "data" / "archives" / "v1.0.h5"


def write_endless(path: Path) -> Path:
    """A store in which HDF5 looks for ever for the attributes of the file, under a seal."""
    change_file(write_merged(path, 12), lambda file: None)
    data = bytearray(path.read_bytes())
    data[2897] ^= 8
    return seal(path, data)


def seal(path: Path, data: bytes) -> Path:
    """Write a feature file with other bytes, and the seal that they need."""
    length = int.from_bytes(data[-16:-8], "little")
    path.write_bytes(data[: -16 - length])
    with path.open("r+b") as file:
        write_seal(file, [])
    return path


def write_greedy(path: Path) -> Path:
    """A store of 1 MB with an attribute of 4,000 strings that are all the same 1 MB."""
    n, length = 4000, 1_234_567

    def change(file: h5py.File) -> None:
        del file["ids"].attrs["sha256"]
        texts = ["x" * length, *[""] * (n - 1)]
        file["ids"].attrs.create("sha256", texts, dtype=h5py.string_dtype())

    change_file(write_merged(path, 12), change)
    data = path.read_bytes()
    # In the attribute a string is 16 bytes: its length, and where it is.
    start = data.index(length.to_bytes(4, "little"))
    return seal(path, data[:start] + data[start : start + 16] * n + data[start + 16 * n :])


@pytest.mark.parametrize(
    ("write", "reason"), [(write_endless, "SIGXCPU"), (write_greedy, "memory allocation failed")]
)
def test_verify_does_not_rely_on_a_seal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], Path],
    reason: str,
) -> None:
    monkeypatch.setattr(first_look, "_SECONDS", 1)
    monkeypatch.setattr(first_look, "_MEMORY", 300 * 2**20)
    path = write(tmp_path / "m.h5")
    assert check_seal(path)
    assert main(["verify", str(path)]) == 2
    said = capsys.readouterr().err
    assert "m.h5: " in said and reason in said


def test_verify_hands_on_what_the_trial_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_merged(tmp_path / "m.h5", 12)
    change_file(path, lambda file: file.attrs.update(id_kind="tweet"))
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(StoreError, match=r"m\.h5: attribute id_kind: expected image or sample"):
        check_foreign(path)


def test_verify_passes_whole_files_and_names_missing_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_merged(tmp_path / "m.h5", 12)
    assert main(["verify", str(path)]) == 0
    assert '"items": 12' in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "n.h5")]) == 2
    assert "n.h5: no such feature file" in capsys.readouterr().err


@pytest.mark.parametrize("read", [verify_store, lambda path: len(FeatureStore(path))])
def test_a_file_that_hdf5_reads_for_ever_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read
) -> None:
    monkeypatch.setattr(first_look, "_SECONDS", 2)
    path = write_endless(tmp_path / "m.h5")
    path.write_bytes(path.read_bytes()[:-1])  # of the seal: it is none any more
    with pytest.raises(StoreError, match=r"m\.h5: HDF5 does not survive reading it \(SIGXCPU\)"):
        read(path)


def test_an_old_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = first_look.subprocess.run
    monkeypatch.setattr(
        first_look.subprocess, "run", lambda *a, **k: asked.append(original(*a, **k)) or asked[-1]
    )
    with FeatureStore(ARCHIVE) as store:
        assert len(store) > 0
    assert [ended.returncode for ended in asked] == [0]


def test_a_sealed_file_needs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look.subprocess, "run", lambda *a, **k: pytest.fail("a process"))
    assert len(FeatureStore(write_merged(tmp_path / "m.h5", 3))) == 3
