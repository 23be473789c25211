"""Which file an id stands for; nothing outside of the image folder is read."""

import errno
import os
import socket
import unicodedata
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from extract.core.errors import DataError
from extract.core.system import explain
from extract.images import files
from extract.images.files import UnreadableImage, image_file_sha256, read_image_file
from extract.images.folder import ImageFolder
from extract.images.limits import ImageLimits
from extract.images.probe import probe_folder
from extract.tables.images_table import ImageRow

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9 \u304c") for form in ("NFC", "NFD"))


def save(path: Path, width: int = 3) -> Path:
    Image.new("RGB", (width, 2)).save(path, "PNG")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def row_of(folder: Path, image_id: str, **limits: bool) -> ImageRow:
    (row,) = probe_folder([image_id], folder, 1, limits=ImageLimits(**limits))
    return row


@pytest.mark.parametrize("by", ["absolute", "relative", "twice", "folder"])
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, by: str) -> None:
    secret = save(folder.parent / "secret.png")
    link = folder / "a.png"
    if by == "absolute":
        link.symlink_to(secret)
    elif by == "relative":
        link.symlink_to("../secret.png")
    elif by == "twice":
        (folder / "b.png").symlink_to("../secret.png")
        link.symlink_to("b.png")
    else:
        (folder.parent / "images2").mkdir()
        save(folder.parent / "images2/s.png")
        (folder / "sub").symlink_to("../images2")
        link.symlink_to("sub/s.png")
    row = row_of(folder, "a")
    assert (row.status, row.path) == ("unreadable", link.as_posix())
    assert "leads out of the image folder" in row.reason
    assert "`follow_links: true` of `image_limits` in the config" in row.reason
    assert row_of(folder, "a", follow_links=True).status == "ok"


def test_links_inside_the_folder_and_to_the_folder_are_followed(folder: Path) -> None:
    save(folder / "a.png")
    (folder / "b.png").symlink_to("a.png")
    assert row_of(folder, "b").status == "ok"
    (folder.parent / "other").symlink_to(folder)
    assert row_of(folder.parent / "other", "b").status == "ok"


def test_what_is_no_ordinary_file_neither_blocks_nor_counts(folder: Path) -> None:
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "nowhere.png").symlink_to("gone.png")
    (folder / "long.png").symlink_to("x" * 300)
    (folder / "zero.png").symlink_to("/dev/zero")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # the path of a socket is short
        try:
            listener.bind("socket.png")
        finally:
            os.chdir(here)
    for name in ("folder", "pipe", "circle", "nowhere", "long", "zero", "socket"):
        assert row_of(folder, name, follow_links=True).status == "missing", name


@pytest.mark.parametrize("read", [read_image_file, image_file_sha256])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize("failing", ["os.open", "os.fstat", "file.read"])
def test_what_the_system_fails_to_read_says_nothing_of_the_image(
    read: Callable[[Path], object],
    number: int,
    failing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if failing == "file.read":
            file = SimpleNamespace(fileno=lambda: os.open(path, os.O_RDONLY), read=fail)
            patch.setattr(files, "open", lambda *_, **__: nullcontext(file), raising=False)
        else:
            patch.setattr(failing, fail)
        with pytest.raises(OSError) as caught:
            read(path)
    message = explain(caught.value)
    assert message.lower().startswith(f"{path}: {os.strerror(number)};".lower())
    assert message.endswith(("run again.", "run the same command again."))


@pytest.mark.parametrize("read", [read_image_file, image_file_sha256])
def test_a_file_that_became_a_pipe_does_not_block(folder: Path, read) -> None:
    os.mkfifo(folder / "a.png")
    with pytest.raises(UnreadableImage, match="not a file, but a folder, pipe or device"):
        read(folder / "a.png")
    with pytest.raises(UnreadableImage, match="not a file, but a folder, pipe or device"):
        read(Path("/dev/zero"))
    with pytest.raises(UnreadableImage, match="no such file"):
        read(folder / "b.png")
    with pytest.raises(UnreadableImage, match="cannot be opened: File name too long"):
        read(folder / ("x" * 300))


def test_names_that_are_not_utf8_are_nobodys(folder: Path) -> None:
    save(folder / os.fsdecode(b"caf\xe9.png"))
    save(folder / "a.png")
    assert row_of(folder, "a").status == "ok"
    assert row_of(folder, "caf\ufffd").status == "missing"
    strange = folder.parent / os.fsdecode(b"\xff")
    strange.mkdir()
    with pytest.raises(DataError, match="the name of the image folder is not UTF-8"):
        ImageFolder(strange)


@pytest.mark.parametrize(("text", "name"), [(NFC, NFD), (NFD, NFC)])
def test_an_id_finds_the_file_that_writes_its_accents_differently(
    folder: Path, text: str, name: str
) -> None:
    assert text != name
    save(folder / f"{name}.png")
    for image_id in (text, f"{text}.png"):
        row = row_of(folder, image_id)
        assert (row.status, Path(row.path).name) == ("ok", f"{name}.png")
        assert row.image_id == image_id


def test_each_of_two_forms_finds_its_own_file(folder: Path) -> None:
    save(folder / f"{NFC}.png", 5)
    save(folder / f"{NFD}.png", 6)
    assert (row_of(folder, NFC).width, row_of(folder, NFD).width) == (5, 6)
    # Half composed: neither file has this name, both have its letters.
    mixed = unicodedata.normalize("NFC", "caf\u00e9") + unicodedata.normalize("NFD", " \u304c")
    row = row_of(folder, mixed)
    assert (row.status, row.path) == ("unreadable", "")
    assert "2 files have this name but for the way of writing accents" in row.reason
    assert row.reason.isascii()


def test_case_counts(folder: Path) -> None:
    save(folder / "AbC.png")
    save(folder / "\u00c9.png")
    for image_id in ("abc", "ABC", "\u00e9", "e\u0301"):
        assert row_of(folder, image_id).status == "missing", image_id
