"""Run folders: self-contained, checked, without pickles."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.core.errors import ConfigError, MissingFileError, StoreError
from tests.builders.train import dummy_system
from train.training.recipe import Recipe
from train.training.run_folder import checkpoint
from train.training.run_folder.checkpoint import (
    RunInfo,
    load_run,
    load_weights,
    read_run_info,
    resolved,
    save_weights,
    tensors_sha256,
    weights_sha256,
    write_run_info,
)
from train.training.run_spec import RunSpec

pytestmark = pytest.mark.usefixtures("dummy")

VOCABULARY = {"entity_types": ["PER"], "words": ["a", "b"]}


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dummy_system.Model]:
    model = dummy_system.Model(dummy_system.Options(tie=True), VOCABULARY)
    info = RunInfo(
        run="r",
        dataset="toy",
        system="dummy",
        variant="main",
        seed=1,
        options=dataclasses.asdict(model.options),
        recipe=Recipe(lr={"crf": 0.1}),
        entity_types=["PER"],
        vocabulary=VOCABULARY,
    )
    write_run_info(tmp_path, info)
    save_weights(model, tmp_path / "model.safetensors")
    return tmp_path, model


def change(folder: Path, **changes) -> None:
    mapping = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**mapping, **changes}), encoding="utf-8")


def test_a_run_comes_back(run) -> None:
    folder, model = run
    loaded, info = load_run(folder)
    assert not loaded.training and info == read_run_info(folder)
    assert info.recipe == Recipe(lr={"crf": 0.1})
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    assert loaded.twin.weight is loaded.table.weight


def test_equal_weights_give_equal_bytes(run, tmp_path: Path) -> None:
    folder, model = run
    save_weights(model, tmp_path / "again.safetensors")
    first, again = folder / "model.safetensors", tmp_path / "again.safetensors"
    assert first.read_bytes() == again.read_bytes()


def test_nothing_stays_of_a_writing_that_was_killed(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = run
    path = tmp_path / "epochs/epoch1.safetensors"
    child = os.fork()
    if child == 0:
        # As safetensors does: a file of another name first.
        def killed(tensors: object, target: Path, **_: object) -> None:
            target.with_name(".tmpA1b2C3").write_bytes(b"half")
            os._exit(0)

        monkeypatch.setattr(checkpoint, "save_file", killed)
        save_weights(model, path)
    os.waitpid(child, 0)
    assert any(file.name == ".tmpA1b2C3" for file in tmp_path.rglob("*"))
    save_weights(model, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model_version": 7}, ConfigError, "version 7 of dummy"),
        ({"format_version": 9}, ConfigError, "format version 9"),
        ({"options": {"dims": 8}}, ConfigError, "Did you mean 'dim'"),
        ({"options": {"dim": 9}}, StoreError, "does not fit"),
        ({"system": "dumy"}, ConfigError, "Did you mean 'dummy'"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(run, changes, error, message) -> None:
    folder, _ = run
    change(folder, **changes)
    with pytest.raises(error, match=message):
        load_run(folder)


def test_missing_or_damaged_files_are_named(run, tmp_path: Path) -> None:
    folder, model = run
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"model\.safetensors"):
        load_run(folder)
    weights.unlink()
    with pytest.raises(MissingFileError, match="no weights"):
        load_run(folder)
    with pytest.raises(MissingFileError, match=r"run\.json"):
        load_run(tmp_path / "nowhere")
    save_weights(model.linear, weights)
    with pytest.raises(StoreError, match="missing"):
        load_weights(model, weights)


@pytest.mark.parametrize("damage", ["bit", "last byte"])
def test_changed_weights_are_refused(run, damage: str) -> None:
    folder, _ = run
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1 if damage == "last byte" else len(data) // 2 + 300] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(StoreError, match="do not match their checksum"):
        load_run(folder)


def test_weights_of_before_there_were_checksums_are_read(run) -> None:
    folder, model = run
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors, folder / "model.safetensors")
    loaded, _ = load_run(folder)
    assert torch.equal(loaded.table.weight, model.table.weight)


def test_the_checksum_is_of_names_types_shapes_and_bytes() -> None:
    zeros = {"a": torch.zeros(2, 3), "b": torch.zeros(())}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.zeros(())},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.zeros(())},
        {"a": torch.zeros(2, 3), "c": torch.zeros(())},
        {"a": torch.zeros(2, 3), "b": torch.ones(())},
        {"a": torch.zeros(2, 3), "b": torch.zeros(1)},
        {"a": torch.zeros(2, 3)},
    ]
    sums = [tensors_sha256(tensors) for tensors in (zeros, *others)]
    assert len(set(sums)) == len(sums)
    assert tensors_sha256(dict(reversed(zeros.items()))) == sums[0]
    halves = {
        "h": torch.ones(3, dtype=torch.bfloat16),
        "e": torch.zeros(0),
        "t": torch.tensor(True),
    }
    assert tensors_sha256(halves) == tensors_sha256(dict(halves))


@pytest.mark.parametrize(
    "data",
    [b"garbage", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format_version": 9}'],
)
def test_a_damaged_run_json_is_named(run, data: bytes) -> None:
    folder, _ = run
    (folder / "run.json").write_bytes(data)
    with pytest.raises(ConfigError, match=r"run\.json: "):
        load_run(folder)


def test_a_vocabulary_without_its_keys_is_named(run) -> None:
    folder, _ = run
    change(folder, vocabulary={})
    with pytest.raises(ConfigError, match=r"run\.json: its vocabulary has no 'words'"):
        load_run(folder)


def test_resolved_specs_hold_every_default() -> None:
    spec = resolved(RunSpec("r", "dummy", options={"dim": 4}))
    assert spec["options"] == {"dim": 4, "dropout": 0.3, "use_image": False, "tie": False}
    assert spec["recipe"] == dataclasses.asdict(Recipe())
    with pytest.raises(ConfigError, match="Did you mean 'dim'"):
        resolved(RunSpec("r", "dummy", options={"dimm": 4}))


def test_checksums_of_pretrained_networks(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.md").write_text("ignored")
    assert list(weights_sha256({"encoder": tmp_path})["encoder"]) == ["config.json"]
    assert weights_sha256({}) == {}
    with pytest.raises(MissingFileError, match="--weights vision="):
        weights_sha256({"vision": tmp_path / "none"})
