"""Writing a folder for another project: all of it or nothing, and each file copied or linked.

The folder is built beside its final name and moved there at the end. `EXPORT.json` in it says what
it was made from, and that it is ours: no other folder is ever replaced.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import ExifTags, Image

from extract.core.digests import file_sha256
from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.core.files import only_process, write_json
from extract.crops.cutting import save_png
from extract.images.decode import FORMATS
from extract.images.unchanged import load_unchanged
from extract.tables.images_table import ImageRow

MANIFEST = "EXPORT.json"
FORMAT = "mner-export"

Link = Literal["copy", "hardlink", "symlink"]

# ImageNet's mean colour: next to zero after the normalisation of every project of the field.
STAND_IN_COLOR = (124, 116, 104)
_STAND_IN_SIZE = (256, 256)


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out` that takes its place at the end, and goes on error.

    An earlier export at `out` is replaced. What a killed export left is removed by the next one.

    Raises:
        BusyError: another process is exporting there.
        ConfigError: `out` holds something that `export` did not write.
    """
    out = Path(out).resolve()
    with only_process(out):
        yield from _build(out)


def _build(out: Path) -> Iterator[Path]:
    """Yield the folder of `fresh_folder` once; the caller holds the lock."""
    building = out.with_name(f".{out.name}.{FORMAT}.partial")
    old = out.with_name(f".{out.name}.{FORMAT}.old")
    if old.exists() and not out.exists():
        # Killed between the two moves below.
        old.rename(out)
    _check_replaceable(out)
    for leftover in (building, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    building.mkdir(parents=True)
    try:
        yield building
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    if out.exists():
        out.rename(old)
    building.rename(out)
    if old.exists():
        shutil.rmtree(old)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `EXPORT.json`, the last file of an export, with the number of all others."""
    record = {**content, "format": FORMAT, "n_files": _count_files(folder)}
    write_json(folder / MANIFEST, record)


def place_file(source: Path, target: Path, link: Link) -> None:
    """Put a file at its place in the export.

    Args:
        source: the file.
        target: where it goes; folders are made.
        link: `copy`; `hardlink`: no space, but one file: who edits either edits both; `symlink`:
            relative, for as long as neither folder is moved.

    Raises:
        MissingFileError: no such file.
        ConfigError: a hard link to another file system.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file. Make what it belongs to anew.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if link == "symlink":
        target.symlink_to(os.path.relpath(source.resolve(), target.parent.resolve()))
    elif link == "copy":
        shutil.copyfile(source, target)
    else:
        try:
            os.link(source.resolve(), target)
        except OSError as error:
            raise ConfigError(
                f"--link hardlink: {source}: {error.strerror}. Use --link copy or symlink."
            ) from error


def place_image(image: ImageRow, target: Path, link: Link) -> bool:
    """Put a readable image at its place, so that a plain reader sees what we see.

    A plain reader (`PIL.Image.open(path).convert("RGB")`, as all projects of the field use) finds
    the format from the bytes, so `<id>.jpg` may hold any. It does not turn an image upright and
    drops transparency instead of laying it over white: such images are written anew, without loss,
    as PNG bytes. All others are the corpus's own bytes.

    Returns:
        True when the image was written anew.

    Raises:
        DataError: the file is not the one that images.tsv describes.
    """
    source = Path(image.path)
    if not source.is_file() or file_sha256(source) != image.sha256:
        raise DataError(
            f"{source}: the file changed or went since images.tsv was made. Make images.tsv, boxes "
            "and crops anew."
        )
    if reads_plainly(source):
        place_file(source, target, link)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    save_png(load_unchanged(image), target)
    return True


def reads_plainly(path: Path) -> bool:
    """Return whether a plain reader's pixels are ours (see `place_image`); reads the header."""
    with Image.open(path, formats=FORMATS) as image:
        if image.mode.startswith(("I", "F")) or image.has_transparency_data:
            return False
        return image.getexif().get(ExifTags.Base.Orientation, 1) not in range(2, 9)


def write_stand_in(target: Path) -> None:
    """Write the one-coloured picture that a project shows its model where there is no image.

    Stand-ins exist in exports only, for projects that cannot go without.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    save_png(Image.new("RGB", _STAND_IN_SIZE, STAND_IN_COLOR), target)


def _check_replaceable(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier export, whole."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"--out: {out} is a file. Give a folder.")
    if not any(out.iterdir()):
        return
    advice = "Give a new folder, or move this one away."
    written = _read_count(out / MANIFEST)
    if written is None:
        raise ConfigError(f"--out: {out} is not empty and no export. {advice}")
    found = _count_files(out)
    if found != written:
        raise ConfigError(
            f"--out: {out} is an export of {written} files, but holds {found}: it was changed "
            f"since, and would be lost. {advice}"
        )


def _read_count(manifest: Path) -> int | None:
    """Return the number of files that an export wrote, None where it is no export's manifest."""
    try:
        record = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return None
    return record.get("n_files")


def _count_files(folder: Path) -> int:
    """Return the number of files under a folder, links included, the manifest excluded."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return sum(1 for _ in files) - (folder / MANIFEST).exists()
