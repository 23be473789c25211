"""Crop archives of the field: which crops are listed for which image, and where they are.

A dictionary `{image: [crop files]}` is a torch file or JSON of names to lists of names; nothing
else is unpickled. HVPNeT, DeepKE, VEC-MNER, Co-MIPN and RPI-HMIF read such archives; the layouts of
`extract/interop/layouts/` know their file names.

Source: the loaders of github.com/zjunlp/HVPNeT and github.com/zjunlp/DeepKE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.core.registry import load_module
from extract.interop.names import match_names
from extract.interop.values import parse_json
from extract.networks.checkpoints.torch_files import load_plain
from extract.tables.images_table import ImageRow
from extract.tables.samples import SPLITS

if TYPE_CHECKING:
    from extract.interop.layouts.hvpnet import Places

_LAYOUTS = "extract.interop.layouts"

# `<name>_aux_images/<split>/crops`: less would not tell the splits apart.
_CROPS_PARTS = 3


@dataclass(frozen=True)
class CropArchive:
    """A foreign archive: which crops are listed for which image."""

    crops: Mapping[str, tuple[Path, ...]]
    """Key of the dictionary -> files of its crops, which may not exist, in list order."""
    cut_at_dot: bool = False
    """Whether a key is the image's id up to its first dot (detector of DeepKE)."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What was odd about the dictionaries."""

    def keys_of(self, images: Sequence[ImageRow]) -> dict[str, str]:
        """Return image id -> its key, for the images that are listed.

        Raises:
            DataError: two keys could be one image's, or two images' key is one.
        """
        found, _ = match_names(self.crops.keys(), images, "the crop dictionary")
        if self.cut_at_dot:
            owner = {key: image_id for image_id, key in found.items()}
            for image_id in (row.image_id for row in images if row.image_id not in found):
                key = image_id.split(".")[0]
                if key in self.crops and owner.setdefault(key, image_id) != image_id:
                    raise DataError(
                        f"images {owner[key]!r} and {image_id!r} are both listed as {key!r}: the "
                        "archive cannot tell them apart. Rename one in the corpus."
                    )
                if key in self.crops:
                    found[image_id] = key
        return found


def read_archive(
    source: Sequence[Path], *, layout: str | None = None, name: str = "", detector: bool = False
) -> CropArchive:
    """Find the dictionaries and crops of an archive; no crop is opened.

    Args:
        source: dictionaries and folders of crops; with `layout` one folder: the project's
            working directory or any on the way to its files, e.g. `data/twitter2015`.
        layout: project whose file names are looked for, None for explicit sources.
        name: what the project calls the corpus.
        detector: read the detector's crops instead of those of the noun phrases.

    Raises:
        ConfigError: the sources or the layout do not fit.
        DataError: a dictionary is no plain {name: [names]}, or leads out of the folders.
        MissingFileError: a source is not there.
    """
    if layout is not None:
        return _read_layout(source, _places(layout, name), detector)
    for path in source:
        if not path.exists():
            raise MissingFileError(f"{path}: no such file or folder.")
    folders = [path for path in source if path.is_dir()]
    dictionaries = [path for path in source if not path.is_dir()]
    if not folders or not dictionaries:
        shown = ", ".join(map(str, source))
        raise ConfigError(
            f"crop_dict: expected dictionaries (.pth, .json) and folders of crops, got {shown}. "
            'Where a project\'s file names are kept, give its folder and {"layout": ...}.'
        )
    return _merge([(path, folders) for path in dictionaries])


def load_dictionary(path: Path) -> dict[str, list[str]]:
    """Read one dictionary; nothing but plain containers, strings and numbers is unpickled.

    Raises:
        DataError: it is no {name: [names]}, or holds other objects.
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file.")
    is_json = path.suffix == ".json"
    content = parse_json(path.read_bytes(), str(path)) if is_json else _load_torch(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary, got {type(content).__name__}.")
    for key, names in content.items():
        plain = isinstance(names, (list, tuple)) and all(isinstance(n, str) for n in names)
        if not isinstance(key, str) or not plain:
            raise DataError(
                f"{path}: expected image names and lists of file names, got {key!r:.60}: "
                f"{names!r:.60}."
            )
    return {key: list(names) for key, names in content.items()}


def _load_torch(path: Path) -> Any:
    return load_plain(path, remedy="Where you trust the file, write its dictionary as JSON.")


def _places(layout: str, name: str) -> "Places":
    module = load_module(_LAYOUTS, layout)
    if not hasattr(module, "places"):
        raise ConfigError(f"layout: {layout} has no crop dictionary, so it cannot be read here.")
    return module.places(name)


def _read_layout(source: Sequence[Path], at: "Places", detector: bool) -> CropArchive:
    """Read the archive whose file names a project's layout gives."""
    if len(source) != 1 or not source[0].is_dir():
        shown = ", ".join(map(str, source))
        raise ConfigError(f"crop_dict: with a layout the source is one folder, got {shown}.")
    root = source[0]
    if detector:
        if not at.has_detector:
            raise ConfigError(f"kind: {at.project} has no detector crops.")
        dictionary = _locate(root, at.detector_dictionary)
        if dictionary is None:
            raise MissingFileError(f"{root}: no {at.detector_dictionary}, nor the end of it.")
        # Its values are paths from the folder of the texts.
        above = len(PurePosixPath(at.detector_dictionary).relative_to(at.text).parts)
        folder = dictionary.absolute().parents[above - 1]
        return replace(_merge([(dictionary, [folder])]), cut_at_dot=True)
    parts = []
    for split in SPLITS:
        dictionary = _locate(root, at.dictionary(split))
        folder = _locate(root, at.crops(split), kept=_CROPS_PARTS)
        if dictionary is not None and folder is None:
            raise MissingFileError(f"{root}: no folder {at.crops(split)} for {dictionary}.")
        if dictionary is not None:
            parts.append((dictionary, [folder]))
    if not parts:
        raise MissingFileError(
            f"{root}: no {at.dictionary('train')}, nor the end of it, nor another split's."
        )
    return _merge(parts)


def _locate(root: Path, place: str, *, kept: int = 1) -> Path | None:
    """Return a project's file or folder, wherever on the way to it `root` is.

    The longest end of its path counts that is under `root`, or beside it (HVPNeT's images and crops
    are beside the folder of its texts).

    Args:
        root: what the user gave.
        place: path from the project's working directory.
        kept: how many of its last parts must be there.
    """
    parts = PurePosixPath(place).parts
    # Resolved, so that the parent of `.` is one, too.
    folders = (root, root.resolve().parent)
    for skipped in range(len(parts) - kept + 1):
        for folder in folders:
            candidate = folder.joinpath(*parts[skipped:])
            if candidate.exists():
                return candidate
    return None


def _merge(parts: Sequence[tuple[Path, Sequence[Path]]]) -> CropArchive:
    """Read dictionaries, each with the folders in which its crops are looked for, as one."""
    crops: dict[str, tuple[Path, ...]] = {}
    names: dict[str, list[str]] = {}
    differing = set()
    for dictionary, folders in parts:
        for key, listed in load_dictionary(dictionary).items():
            if names.setdefault(key, listed) != listed:
                differing.add(key)
            if key not in crops:
                crops[key] = tuple(_find_crop(n, folders, dictionary) for n in listed)
    return CropArchive(crops, notes={"keys_with_two_lists": len(differing)})


def _find_crop(name: str, folders: Sequence[Path], dictionary: Path) -> Path:
    """Return the first folder's file of that name, or where it should be."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise DataError(f"{dictionary}: crop {name!r} leads out of the crop folders.")
    candidates = [folder / relative for folder in folders]
    return next((path for path in candidates if path.is_file()), candidates[0])
