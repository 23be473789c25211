"""Dictionaries `{image: [crops]}`, in the forms that HVPNeT and its family read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal

from extract.core.errors import DataError
from extract.core.files import atomic_path, write_text
from extract.crops.plan import Crop
from extract.tables.caption_lists import strip_image_suffix

KeyForm = Literal["file", "id", "first_dot"]
"""Of a dictionary's keys: `file`: `<id>.jpg` (HVPNeT); `id`: without image extension; `first_dot`:
the id up to its first dot, where DeepKE and VEC-MNER look for the crops of a detector."""


def files_by_image(crops: Iterable[Crop]) -> dict[str, list[str]]:
    """Return image id -> file names of its crops, best first; images without crops are left out."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for crop in crops:
        if crop.crop is not None:
            rows.setdefault(crop.image_id, []).append((crop.row, crop.crop))
    return {
        image_id: [name for _, name in sorted(found, key=itemgetter(0))]
        for image_id, found in rows.items()
    }


def dictionary_key(image_id: str, form: KeyForm = "file", suffix: str = ".jpg") -> str:
    """Return the key under which a consumer looks for the crops of an image.

    Args:
        image_id: with or without image extension.
        form: see `KeyForm`.
        suffix: of the form `file`, added to ids that have no image extension: HVPNeT's family looks
            up `<id>.jpg`, and a key without it gives blank crops without a message.
    """
    if form == "file":
        has_suffix = strip_image_suffix(image_id) != image_id
        return image_id if has_suffix else image_id + suffix
    name = strip_image_suffix(image_id)
    return name if form == "id" else name.split(".")[0]


def crop_dictionary(
    image_ids: Iterable[str],
    crops: Iterable[Crop],
    *,
    keys: KeyForm = "file",
    key_suffix: str = ".jpg",
    prefix: str = "",
) -> dict[str, list[str]]:
    """Return image -> its crop files, best first, as HVPNeT and its family read it.

    Args:
        image_ids: of the split or splits, in sample order; repeated ones count once.
        crops: lines of `crops.jsonl`.
        keys: form of the keys.
        key_suffix: of keys of the form `file`, see `dictionary_key`.
        prefix: put before every file name, e.g. `twitter15_detect/crops/`.

    Returns:
        Every image id is a key; one without crops has an empty list.

    Raises:
        DataError: two ids would have one key.
    """
    files = files_by_image(crops)
    owner: dict[str, str] = {}
    dictionary: dict[str, list[str]] = {}
    for image_id in image_ids:
        key = dictionary_key(image_id, keys, key_suffix)
        if owner.setdefault(key, image_id) != image_id:
            raise DataError(f"image ids {owner[key]!r} and {image_id!r} both give key {key!r}")
        dictionary[key] = [prefix + name for name in files.get(image_id, [])]
    return dictionary


def save_dictionary(dictionary: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write a dictionary as `<path>` (torch) and, in the same order, as JSON beside it.

    The torch file holds a plain dict of lists of strings: it loads with `weights_only=True`.
    """
    import io

    import torch

    plain = {key: list(names) for key, names in dictionary.items()}
    # Through memory, because torch.save writes the name of a file into it: bytes would differ.
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    with atomic_path(path) as tmp:
        tmp.write_bytes(buffer.getvalue())
    write_text(path.with_suffix(".json"), json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
