"""Crop archives of the field, read (see extract/interop/crop_archives.py): a feature set of pixels.

The rows are the bytes that `pixels` with `of: crops` gives for the boxes that were cut.

- The first `max_crops` of a list are read, in list order; a later one does not replace a broken
  one. Crops that cannot be read are left out and counted: rows are the readable crops, in order.
  As foreign archives have no grounding store, row j need not be box j of any.
- An image that is not listed, or has an empty list, is `nothing_found`; one with none but broken
  crops is `unreadable`. Whether the whole image can be read does not matter here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from extract.extractors import pixels
from extract.images.decode import FilterName, Rounding, load_image
from extract.images.files import UnreadableImage
from extract.interop.base import Imported
from extract.interop.crop_archives import CropArchive, read_archive
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Item, ItemFeatures, nothing_found

HELP = "crop archive ({image: [crops]} .pth or .json, and folders of crops) -> pixels of the crops"
VERSION = 1
GIVES = "features"


@dataclass(frozen=True)
class Options:
    """What is read, and how it becomes rows; the latter as in the extractor `pixels`."""

    size: int = 128
    """Side in px of the stored square."""
    resize: Literal["shorter_side", "exact"] = "shorter_side"
    """`shorter_side`: keep the aspect ratio, then cut the middle square; `exact`: squeeze."""
    shorter_side: int | None = None
    """Length in px of the shorter side before the centre crop; None means `size`."""
    resample: FilterName = "bicubic"
    """Filter of the resize; both antialias."""
    crop_rounding: Rounding = "floor"
    """Of an odd margin of the centre crop: `floor` (CLIP) or `half_even` (torchvision)."""
    max_crops: int | None = 3
    """How many crops of a list are read; models take the first 3. None means all."""
    layout: str | None = None
    """Project whose file names say where everything is (`hvpnet`, `deepke`, ...); the source is
    then one folder. None: the sources are dictionaries and folders."""
    name: str = "twitter2015"
    """What the project calls the corpus; with `layout` only."""
    kind: Literal["grounding", "detector"] = "grounding"
    """Which crops of the project: of the noun phrases, or of the detector; with `layout` only."""

    def __post_init__(self) -> None:
        self.pixels_options()

    def pixels_options(self) -> pixels.Options:
        """Return the options of the extractor that makes a row of a crop."""
        return pixels.Options(
            size=self.size,
            resize=self.resize,
            shorter_side=self.shorter_side,
            resample=self.resample,
            crop_rounding=self.crop_rounding,
            max_crops=self.max_crops,
        )


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read an archive as pixel rows of the images of a manifest.

    Args:
        source: dictionaries and folders of crops; with `options.layout` one folder: the project's
            working directory or any on the way to its files, e.g. `data/twitter2015`.
        images: of the manifest.
        options: see `Options`.

    Returns:
        Items are read as they are asked for; the counts of broken crops in `notes` are complete
        when the last one is.

    Raises:
        ConfigError: the sources or the layout do not fit.
        DataError: a dictionary is no plain {name: [names]}, or leads out of the folders.
        MissingFileError: a source is not there.
    """
    archive = read_archive(
        source, layout=options.layout, name=options.name, detector=options.kind == "detector"
    )
    keys = archive.keys_of(images)
    notes = {
        **archive.notes,
        "missing_in_file": len(images) - len(keys),
        "surplus_keys": len(archive.crops.keys() - set(keys.values())),
        "unreadable_crops": 0,
    }
    extractor = pixels.Extractor(options.pixels_options())
    return Imported(
        outputs=extractor.outputs(extractor.options),
        items=_rows(archive, keys, images, extractor, notes),
        notes=notes,
    )


def _rows(
    archive: CropArchive,
    keys: Mapping[str, str],
    images: Sequence[ImageRow],
    extractor: pixels.Extractor,
    notes: dict[str, int],
) -> Iterator[ItemFeatures]:
    """Yield one item an image, in manifest order, and count in `notes`."""
    outputs = extractor.outputs(extractor.options)
    for image in images:
        key = keys.get(image.image_id)
        if key is None:
            yield nothing_found("not in the crop dictionary", outputs)
            continue
        paths = archive.crops[key][: extractor.options.max_crops]
        rows, reasons = [], []
        for path in paths:
            try:
                crop = load_image(path)
            except UnreadableImage as error:
                reasons.append(f"{path.name}: {error}")
                continue
            rows.append(extractor.extract([Item(image.image_id, crop)])[0].features[0])
        notes["unreadable_crops"] += len(reasons)
        if rows:
            yield ItemFeatures(features=np.stack(rows))
        elif reasons:
            empty = nothing_found(f"no crop can be read; {reasons[0]}", outputs)
            yield replace(empty, status=STATUS["unreadable"])
        else:
            yield nothing_found("the crop dictionary lists no crop", outputs)
