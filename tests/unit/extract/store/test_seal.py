"""Whatever bit of a feature file changes, opening it or checking its bytes says so."""

import random
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from extract.__main__ import main
from extract.core.errors import StoreError
from extract.store import FeatureStore, verify_store
from extract.store.seal_again import seal_again
from extract.store.verify import check_bytes
from tests.builders.extract.feature_files import write_merged

N = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_merged(tmp_path_factory.mktemp("whole") / "m.h5", N).read_bytes()


def test_every_flipped_bit_is_found(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    rng = random.Random(0)
    for place in [*range(0, len(whole), 37), *range(len(whole) - 100, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(StoreError, match=r"m\.h5"):
            check_bytes(path)


def test_every_cut_is_found(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    # Each is tried in a process of its own, a sixth of a second.
    for length in [*range(0, len(whole), 997), *range(len(whole) - 90, len(whole), 9)]:
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"m\.h5"):
            check_bytes(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(StoreError, match="the seal at its end is missing"):
        check_bytes(path)


def test_damage_is_found_before_hdf5_reads_the_file(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library may end the process on such a file."""
    path = tmp_path / "m.h5"
    path.write_bytes(whole.replace(b"fingerprint", b"fingerpr1nt"))
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(StoreError, match="the seal at its end does not match"):
        len(FeatureStore(path))


@pytest.mark.parametrize(
    ("name", "value"), [("fingerprint", "0" * 64), ("id_kind", "sample"), ("added", "x")]
)
def test_attributes_cannot_be_changed_by_other_programs(
    whole: bytes, tmp_path: Path, name: str, value: str
) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    for check in (check_bytes, verify_store):
        with pytest.raises(StoreError, match=r"seal"):
            check(path)


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [[0, 99999999]], "sha256": "0"}',
        b'{"rows": [[-5, 2]], "sha256": "0"}',
        b'{"rows": [[9, 5], [3, 2]], "sha256": "0"}',
        b'{"rows": [["a", 2]], "sha256": "0"}',
        b'{"rows": 7}',
        b"[" * 4000,
        b"x" * 5000,
        b"\xff",
    ],
)
def test_a_seal_that_lies_is_refused(whole: bytes, tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(whole + body + len(body).to_bytes(8, "little") + b"MNERSEAL")
    with pytest.raises(StoreError, match="does not match"):
        len(FeatureStore(path))
    path.write_bytes(whole + (2**63).to_bytes(8, "little") + b"MNERSEAL")
    with pytest.raises(StoreError, match="does not match"):
        len(FeatureStore(path))


# ---- files that lost it ----


@pytest.fixture
def unsealed(whole: bytes, tmp_path: Path) -> Path:
    """As h5py leaves a file that it opened for writing, without a change."""
    path = tmp_path / "m.h5"
    path.write_bytes(whole)
    with h5py.File(path, "a"):
        pass
    assert len(path.read_bytes()) < len(whole)
    return path


def test_a_file_without_its_seal_is_refused(unsealed: Path, whole: bytes) -> None:
    message = r"m\.h5: the seal at its end is missing: .* opened for writing .* cut off"
    for check in (check_bytes, verify_store, lambda path: FeatureStore(path).ids):
        with pytest.raises(StoreError, match=message):
            check(unsealed)
    # One bit of the mark, and HDF5 would read a file that nobody checked.
    unsealed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match=message):
        len(FeatureStore(unsealed))


def test_a_file_that_was_only_opened_is_sealed_again(unsealed: Path, whole: bytes) -> None:
    assert seal_again(unsealed)
    assert unsealed.read_bytes() == whole
    assert not seal_again(unsealed)
    assert unsealed.read_bytes() == whole
    assert [path.name for path in unsealed.parent.iterdir()] == ["m.h5"]
    unsealed.write_bytes(whole[:-1])
    assert main(["seal", str(unsealed)]) == 0
    check_bytes(unsealed)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda file: file["rows/scores"].__setitem__(0, 9.0), "/rows/scores does not"),
        (lambda file: file.attrs.update(ids_sha256="0" * 64), "ids_sha256 is not"),
        (lambda file: file.attrs.update(format_version="1.0"), "format 1.0 has no seal"),
    ],
)
def test_a_file_that_was_changed_is_not_sealed(
    unsealed: Path, change: Callable[[h5py.File], object], finding: str
) -> None:
    with h5py.File(unsealed, "a") as file:
        change(file)
    data = unsealed.read_bytes()
    with pytest.raises(StoreError, match=rf"m\.h5: not sealed: {finding}"):
        seal_again(unsealed)
    assert unsealed.read_bytes() == data
