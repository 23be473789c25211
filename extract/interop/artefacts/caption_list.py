"""Caption lists (`name.jpg :caption`, one caption a line) as a caption store.

Several lines of a name are several captions, in file order. Scores are not in the format: they are
NaN. Blank captions are left out on import.

Lost on export: scores, why an image has no caption, line breaks inside a caption (a space stands
for them) and white space around it.

Source: the lists of BLIP-2 captions that come with PGIM (Li et al. 2023, Prompting ChatGPT in MNER,
Findings of EMNLP).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.core.errors import StoreError
from extract.core.files import write_text
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.tables.caption_lists import caption_line, read_caption_list, strip_image_suffix
from extract.tables.images_table import ImageRow
from extract.tables.rows import ItemFeatures, Outputs, nothing_found

if TYPE_CHECKING:
    from extract.store import FeatureStore

HELP = "caption list, `name.jpg :caption` a line"
VERSION = 1
GIVES = "captions"

_OUTPUTS = Outputs(text=True, scores=True)


@dataclass(frozen=True)
class Options:
    """How names are written."""

    suffix: str = ".jpg"
    """Added on export to ids without image extension; the lists of the field end so."""


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read such lists; together they are taken for one.

    Raises:
        DataError: a line breaks the format.
        MissingFileError: no such file.
    """
    captions: dict[str, list[str]] = {}
    for path in source:
        for name, of_image in read_caption_list(path).items():
            captions.setdefault(name, []).extend(of_image)
    label = file_label(source)
    found, notes = match_names(captions, images, label)
    return Imported(_OUTPUTS, _items(captions, found, images, label), notes)


def _items(
    captions: Mapping[str, Sequence[str]],
    found: Mapping[str, str],
    images: Sequence[ImageRow],
    label: str,
) -> Iterator[ItemFeatures]:
    for row in images:
        if row.image_id not in found:
            yield absent(row, _OUTPUTS, label)
            continue
        texts = [text for text in captions[found[row.image_id]] if text.strip()]
        if texts:
            yield ItemFeatures(text=texts, scores=np.full(len(texts), np.nan, np.float32))
        else:
            yield nothing_found("its captions are blank", _OUTPUTS)


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the list; images without caption get no line.

    Raises:
        DataError: a name cannot stand in such a list.
        StoreError: the store has no text.
    """
    if not store.outputs.text:
        raise StoreError(f"{store.path}: has no captions (text rows)")
    lines, without = [], 0
    for row in images:
        name = row.image_id
        if strip_image_suffix(name) == name:
            name += options.suffix
        texts = store.item(row.image_id).text
        lines += [caption_line(name, text) for text in texts]
        without += not texts
    write_text(out, "".join(lines))
    return {"captions": len(lines), "left_out": without}
