"""Files of weights that are cut off, or are something else under the name of a checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from extract.core.cli import main
from extract.core.errors import DamagedFileError
from extract.interop.artefacts import vgg_pt
from extract.interop.crop_archives import load_dictionary
from extract.networks.checkpoints.reading import read_tensors
from extract.networks.checkpoints.whole_files import SUFFIXES, check_whole
from train.systems.ita import released_checkpoint
from train.training.run_folder.conversion import read_state

TENSORS = {"weight": torch.arange(600.0).reshape(20, 30), "bias": torch.zeros(3)}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
PAGES = (b"<!DOCTYPE html>\n<p>404", b"\n  <HTML><p>404", b'<?xml version="1.0"?><Error/>')


def write(path: Path) -> Path:
    """Write a whole file, of the kind that its name says."""
    if path.suffix == ".safetensors":
        save_file(TENSORS, path)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"model": {"vocab": {"a": 1}}}))
    else:
        torch.save(TENSORS, path)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_file_passes(tmp_path: Path, suffix: str) -> None:
    check_whole(write(tmp_path / f"x{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_beginning_of_a_file_passes(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x{suffix}")
    whole = path.read_bytes()
    # Within the first four bytes nothing tells a torch file from another.
    for size in [0, *range(4, len(whole), max(1, len(whole) // 40)), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedFileError, match=f"{size:,} bytes found: .*Get the file again"):
            check_whole(path)


def test_safetensors_state_the_size_expected(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors")
    whole = path.read_bytes()
    for data in (whole[:-7], whole + b"more"):
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=f": {len(whole):,} bytes expected"):
            read_tensors(path)
    path.write_bytes(b"\x05\0\0\0\0\0\0\0{}}}}")
    with pytest.raises(DamagedFileError, match="header is not that"):
        check_whole(path)


@pytest.mark.parametrize("content", [LFS, *PAGES])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pages_and_pointers_are_called_so(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    expected = "Git LFS" if content == LFS else "page of a web site"
    with pytest.raises(DamagedFileError, match=expected):
        check_whole(tmp_path / f"x{suffix}")


def test_a_header_whose_length_begins_like_a_page_is_none(tmp_path: Path) -> None:
    """The length is the first number of the file: "<" in 1 of 256 files, "<!" in some."""
    header = b'{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"<!\0\0\0\0\0\0" + header.ljust(0x213C))
    check_whole(path)


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s != ".json"])
def test_every_file_of_a_folder_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    """The command that users pin with refuses as the workflow does."""
    folder = tmp_path / "bert"
    folder.mkdir()
    write(folder / "config.json")
    path = write(folder / f"weights{suffix}")
    entry = {"path": str(folder), "fetch": "hf download a/b config.json"}
    assert main("extract", ["weights", "--entry", json.dumps(entry)]) == 0
    path.write_bytes(path.read_bytes()[:-1])
    assert main("extract", ["weights", "--entry", json.dumps(entry)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: damaged" in said and "Get it: `hf download a/b config.json`." in said


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "read",
    [read_tensors, load_dictionary, read_state, released_checkpoint.read_checkpoint, vgg_pt._load],
    ids=["tensors", "crop dictionary", "state dict", "ita", "image tensors"],
)
def test_every_reader_of_torch_files_calls_a_cut_off_one_so(
    tmp_path: Path, read: Callable[[Path], Any], is_zip: bool
) -> None:
    path = tmp_path / "x.pth"
    content = {"state_dict": TENSORS, "tag_dictionary": {}, "a.jpg": torch.zeros(49, 512)}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for share in (0.02, 0.5, 0.98):
        size = int(share * len(whole))
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedFileError, match=rf"x\.pth: damaged .*{size:,} bytes found"):
            read(path)
