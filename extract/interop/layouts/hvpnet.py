"""HVPNeT's folder, and what its family shares: DeepKE, VEC-MNER, Co-MIPN differ in places alone.

- `{train,valid,test}.txt`, see `imgid_text`; types as ours (the loaders read OTHER as MISC).
- `<name>_images/<id>.jpg`. A file that is missing or cannot be read is not written: the loaders
  fall back to `inf.png`, one stand-in for all of them.
- `<name>_{train,val,test}_dict.pth`: `<id>.jpg` -> names of files in
  `<name>_aux_images/{train,val,test}/crops`. The loaders take the first three and fill up with
  zeros; an image of two splits has its crops in both folders.

Source: the loader of github.com/zjunlp/HVPNeT (Chen et al. 2022, Good Visual Guidance Makes A
Better Extractor, NAACL Findings).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError, DataError
from extract.core.files import write_text
from extract.crops.dictionary import files_by_image, save_dictionary
from extract.crops.plan import Crop
from extract.interop.exports import place_file, place_image, write_stand_in
from extract.interop.layouts.base import (
    Corpus,
    CropFolder,
    count_unlabelled,
    file_ids,
    imgid_text,
)
from extract.tables.samples import SPLITS

HELP = "HVPNeT: text, images, and crops of the noun phrases; run its run.py in the folder."
NEEDS = ("crops",)
TAKES = ()
NAMES = ("twitter2015", "twitter2017")

# The family's names of the splits, but for the text files.
_SPLIT_NAMES = {"train": "train", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class Options:
    """What is exported."""

    max_crops: int | None = None
    """How many crops of an image are exported, best first; the loaders take 3. None means all."""

    def __post_init__(self) -> None:
        if self.max_crops is not None and self.max_crops < 1:
            raise ValueError(f"max_crops must be at least 1 or null, got {self.max_crops}")


@dataclass(frozen=True)
class Places:
    """Where a project of the family looks, from its working directory."""

    project: str
    """Its name, for messages."""
    name: str
    """Of the corpus, e.g. `twitter2015`."""
    text: str
    """Folder of texts and dictionaries."""
    beside: str
    """Folder of the folders of images and crops."""
    has_detector: bool = False
    """Whether it reads a detector's crops, too."""

    def text_file(self, split: str) -> str:
        """Text of a split."""
        return f"{self.text}/{split}.txt"

    def dictionary(self, split: str) -> str:
        """Crop dictionary of a split."""
        return f"{self.text}/{self.name}_{_SPLIT_NAMES[split]}_dict.pth"

    def crops(self, split: str) -> str:
        """Folder of a split's crops."""
        return f"{self.beside}/{self.name}_aux_images/{_SPLIT_NAMES[split]}/crops"

    @property
    def images(self) -> str:
        """Folder of all whole images."""
        return f"{self.beside}/{self.name}_images"

    @property
    def detector(self) -> str:
        """Folder of the detector's crops and dictionary, from `text`, e.g. `twitter15_detect`."""
        return f"{self._short}_detect"

    @property
    def detector_dictionary(self) -> str:
        """Dictionary of the detector's crops of all splits; its values are paths from `text`."""
        return f"{self.text}/{self.detector}/{self._short}_img2crop.pth"

    @property
    def _short(self) -> str:
        return self.name.replace("twitter20", "twitter")


def places(name: str) -> Places:
    """Return HVPNeT's places of a corpus."""
    check_name(name, "HVPNeT")
    base = "data/NER_data"
    return Places("HVPNeT", name, text=f"{base}/{name}", beside=base)


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write the folder; return counts."""
    return export_family(corpus, out, options, places(corpus.name))


def check_name(name: str, project: str) -> None:
    """Refuse a corpus name that the family's scripts do not know.

    Raises:
        ConfigError: neither twitter2015 nor twitter2017.
    """
    if name not in NAMES:
        raise ConfigError(f"name: {project} knows {' and '.join(NAMES)}, got '{name}'.")


def export_family(corpus: Corpus, out: Path, options: Options, at: Places) -> dict[str, Any]:
    """Write the folder of a project of the family.

    Returns:
        Counts for `EXPORT.json`.

    Raises:
        ConfigError: a split is missing, which the project would miss, too.
        DataError: the project cannot represent an image id or a token.
    """
    missing = [split for split in SPLITS if split not in corpus.samples]
    if missing:
        raise ConfigError(f"--samples: {at.project} also reads {', '.join(missing)}.")
    names = file_ids(corpus.image_ids, at.project)
    counts: dict[str, Any] = {
        "samples": {split: len(corpus.samples[split]) for split in SPLITS},
        "unlabelled": count_unlabelled(corpus),
    }
    for split in SPLITS:
        write_text(out / at.text_file(split), imgid_text(corpus.samples[split], names))
    counts["images"] = _write_images(corpus, out / at.images, names)
    counts["crops"] = {
        split: _write_split_crops(corpus, out, options, at, split, names) for split in SPLITS
    }
    if at.has_detector:
        counts["detector_crops"] = _write_detector_crops(corpus, out, options, at, names)
    return counts


def _write_images(corpus: Corpus, folder: Path, names: dict[str, str]) -> dict[str, int]:
    counts = {"written": 0, "written_anew_upright": 0, "left_to_stand_in": 0}
    write_stand_in(folder / "inf.png")
    for image_id, name in names.items():
        image = corpus.images[image_id]
        if image.status != "ok":
            counts["left_to_stand_in"] += 1
            continue
        counts["written"] += 1
        anew = place_image(image, folder / f"{name}.jpg", corpus.link)
        counts["written_anew_upright"] += anew
    return counts


def _write_split_crops(
    corpus: Corpus, out: Path, options: Options, at: Places, split: str, names: dict[str, str]
) -> dict[str, int]:
    """Write a split's dictionary and crops, keys with extension."""
    image_ids = dict.fromkeys(sample.image_id for sample in corpus.samples[split])
    # Also without any crop: the folder is the project's.
    (out / at.crops(split)).mkdir(parents=True, exist_ok=True)
    return _write_crops(
        corpus,
        corpus.crops,
        {image_id: f"{names[image_id]}.jpg" for image_id in image_ids},
        options,
        folder=out / at.crops(split),
        dictionary=out / at.dictionary(split),
    )


def _write_detector_crops(
    corpus: Corpus, out: Path, options: Options, at: Places, names: dict[str, str]
) -> dict[str, int]:
    """Write one dictionary of all splits, keys cut at the first dot, values from `at.text`."""
    keys = {image_id: name.split(".")[0] for image_id, name in names.items()}
    folder = corpus.detector_crops or CropFolder(Path(), [])
    _refuse_shared_keys(keys, folder.crops, at.project)
    return _write_crops(
        corpus,
        folder,
        keys,
        options,
        folder=out / at.text / at.detector / "crops",
        dictionary=out / at.detector_dictionary,
        prefix=f"{at.detector}/crops/",
    )


def _refuse_shared_keys(keys: dict[str, str], crops: Sequence[Crop], project: str) -> None:
    """Refuse two images with one key where one of them has crops: the other would get them."""
    with_crops = {crop.image_id for crop in crops if crop.crop is not None}
    owner: dict[str, str] = {}
    for image_id in sorted(keys, key=lambda image_id: image_id not in with_crops):
        other = owner.setdefault(keys[image_id], image_id)
        if other != image_id and other in with_crops:
            raise DataError(
                f"image ids {other!r} and {image_id!r} are one to {project}, which looks up "
                "detector crops by the id up to its first dot. Leave out --detector-crops, or "
                "rename one."
            )


def _write_crops(
    corpus: Corpus,
    source: CropFolder,
    keys: dict[str, str],
    options: Options,
    *,
    folder: Path,
    dictionary: Path,
    prefix: str = "",
) -> dict[str, int]:
    """Put the crops of some images in a folder and list them in a dictionary.

    Args:
        corpus: for the kind of links.
        source: where the crops come from.
        keys: image id -> key of the dictionary.
        options: how many crops of an image.
        folder: where the crops go.
        dictionary: file of the dictionary; JSON of the same is written beside it.
        prefix: of the dictionary's values.
    """
    files = files_by_image(source.crops)
    listed: dict[str, list[str]] = {}
    for image_id, key in keys.items():
        crops = files.get(image_id, [])[: options.max_crops]
        for crop in crops:
            place_file(source.path / crop, folder / crop, corpus.link)
        listed[key] = [prefix + crop for crop in crops]
    save_dictionary(listed, dictionary)
    return {
        "images": len(listed),
        "images_without_crop": sum(not crops for crops in listed.values()),
        "crops": sum(map(len, listed.values())),
    }
