"""Image ids and file names of any characters: each id has its row, its own crop name, no more."""

import os
import random
import unicodedata
from pathlib import Path

from extract.core.logs import printable
from extract.crops.names import CropStems
from extract.images.files import UnreadableImage
from extract.images.folder import ImageFolder
from extract.tables.images_table import ImageRow, read_images, write_images

NAME = "ids"

_PARTS = (
    "..", "/", "\\", ".", "a", "B", "é", "e\u0301", "\u304c", "\u304b\u3099", "😀", "\u200d",
    "\x1b[2J", "\t", '"', "'", "`", "$(id)", ";", "|", "&", "%", "%2f", "{", "}", "\u202e",
    "\u2028", "\x85", "\xa0", "CON", "nul", "~", "-", "*", "?", " ", "#", "=", ".jpg", ".PNG",
    "x" * 90, "\ufeff", "\ufffd", "\r", "\n",
)  # fmt: skip


_LINKS = {"out": "../secret.png", "in": "a.png", "long": "x" * 300}
"""Where links lead; no file could have the name of the last."""


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Look ids up in a folder, write and read their table."""
    images = folder / "images"
    images.mkdir()
    (folder / "secret.png").write_bytes(b"secret")
    names = sorted({_name(rng) for _ in range(rng.randint(1, 12))})
    for name in names:
        _place(images, name, rng)
    ids = list(dict.fromkeys([_name(rng) for _ in range(6)] + [_id_of(n, rng) for n in names]))
    ids = [image_id for image_id in ids if image_id.strip()]
    files, rows = ImageFolder(images), []
    for image_id in ids:
        try:
            path = files.find(image_id)
            if path is not None:
                files.refuse_outside(path)
        except UnreadableImage as error:
            rows.append(ImageRow(image_id, "", "", 0, 0, "unreadable", str(error)))
            continue
        if path is None:
            rows.append(ImageRow(image_id, "", "", 0, 0, "missing", "?"))
            continue
        if images.resolve() not in path.resolve().parents or not path.is_file():
            return f"{image_id!r} leads to {path!r}"
        rows.append(ImageRow(image_id, path.as_posix(), "0" * 64, 1, 1, "ok"))
    return _check_tables(folder, ids, rows) or _check_index(files)


def _name(rng: random.Random) -> str:
    return "".join(rng.choice(_PARTS) for _ in range(rng.randint(1, 4)))


def _id_of(name: str, rng: random.Random) -> str:
    form = rng.choice(("NFC", "NFD", "NFKC"))
    return rng.choice((name, name.removesuffix(".jpg"), unicodedata.normalize(form, name)))


def _place(images: Path, name: str, rng: random.Random) -> None:
    """Make a file, a link or something else of this name, where the system allows it."""
    data = os.fsencode(name.replace("/", "_"))[:200] + rng.choice((b"", b".png", b"\xff", b".jpg"))
    path = images / os.fsdecode(data)
    kind = rng.choice(("file", "file", "file", *_LINKS, "circle", "pipe", "folder"))
    if os.path.lexists(path) or path.name in (".", ".."):
        return
    if kind == "file":
        path.write_bytes(b"x")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(_LINKS.get(kind, path.name))


def _check_tables(folder: Path, ids: list[str], rows: list[ImageRow]) -> str | None:
    write_images(folder / "images.tsv", rows)
    if list(read_images(folder / "images.tsv")) != rows:
        return "images.tsv is read as other rows than were written"
    stems = CropStems(ids)
    if len({stem.lower() for stem in stems.values()}) != len(ids):
        return f"two ids have one crop name: {dict(stems)!r}"
    unsafe = [stem for stem in stems.values() if not stem.isascii() or "/" in stem or not stem]
    if unsafe:
        return f"unsafe crop names {unsafe!r}"
    shown = printable("".join(ids))
    bad = [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"]
    return f"a log would hold {bad!r}" if bad else None


def _check_index(files: ImageFolder) -> str | None:
    """Every ordinary file, and every link to one, is found under its whole name."""
    with os.scandir(os.fsencode(files.folder)) as entries:
        names = [entry.name for entry in entries if os.path.isfile(entry.path)]
    for raw in names:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if files.find(name) != files.folder / name:
            return f"{name!r} is a file, found {files.find(name)!r}"
    return None
