"""Checksums of given files are computed once for each state of a file."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from extract.networks.weights import weights_sha256
from workflow.plan import file_sums as module
from workflow.plan.file_sums import file_sums


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that are read, in a working directory of its own."""
    read: list[str] = []

    def count(path: Path) -> str:
        read.append(str(path))
        return weights_sha256(path)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "weights_sha256", count)
    yield read
    module._sum.cache_clear()


def next_call(*paths: str) -> dict[str, str]:
    """Return the checksums as a new process would."""
    module._sum.cache_clear()
    return file_sums(paths)


def test_nothing_is_read_twice(hashed: list[str]) -> None:
    Path("bert").mkdir()
    for name in ("config.json", "model.safetensors"):
        Path("bert", name).write_text(name)
    Path("vectors.txt").write_text("a 1")
    first = next_call("bert", "vectors.txt", "nowhere")
    assert first == {p: weights_sha256(Path(p)) for p in ("bert", "vectors.txt")}
    assert next_call("vectors.txt", "bert") == first and hashed == ["bert", "vectors.txt"]
    # What does not count for the checksum is no reason to read, either.
    Path("bert/README.md").write_text("x")
    assert next_call("bert", "vectors.txt") == first and len(hashed) == 2


def test_another_content_is_noticed_whatever_its_size_and_time(hashed: list[str]) -> None:
    path = Path("vgg16.pth")
    path.write_bytes(b"damaged!")
    os.utime(path, (2_000_000_000, 2_000_000_000))
    before = next_call("vgg16.pth")
    Path("right").write_bytes(b"the file")
    os.replace("right", path)
    os.utime(path, (2_000_000_000, 2_000_000_000))
    after = next_call("vgg16.pth")
    assert after != before and after == {"vgg16.pth": weights_sha256(path)}
    shutil.copy2(path, "copy")
    os.replace("copy", path)
    assert next_call("vgg16.pth") == after


@pytest.mark.parametrize("content", ["", "[]", "{", '{"vgg16.pth": {}}'])
def test_a_broken_memory_is_computed_again(hashed: list[str], content: str) -> None:
    Path("vgg16.pth").write_bytes(b"abc")
    sums = next_call("vgg16.pth")
    module.REMEMBERED.write_text(content)
    assert next_call("vgg16.pth") == sums and len(hashed) == 2
    assert json.loads(module.REMEMBERED.read_text())["vgg16.pth"]["sha256"] == sums["vgg16.pth"]


def test_a_folder_that_cannot_be_written_is_no_error(
    hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    Path("vgg16.pth").write_bytes(b"abc")
    monkeypatch.setattr(module, "write_json", refuse)
    assert next_call("vgg16.pth") == next_call("vgg16.pth") and len(hashed) == 2
