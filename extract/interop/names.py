"""Which key of a foreign file belongs to which image: with or without an image extension."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from extract.core.errors import DataError
from extract.tables.caption_lists import strip_image_suffix
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found


def match_names(
    names: Collection[str], images: Sequence[ImageRow], where: str
) -> tuple[dict[str, str], dict[str, int]]:
    """Join the keys of a file with the manifest.

    A key is an image's when they are equal, or are once image extensions are left out.

    Args:
        names: keys of the file, each once.
        images: the manifest.
        where: the file, for messages.

    Returns:
        Image id -> key, for the images that the file has; and the counts `missing_in_file` and
        `surplus_keys`.

    Raises:
        DataError: two keys could be one image's, or two images could be one key's.
    """
    known = set(names)
    exact = {row.image_id for row in images} & known
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in sorted(known - exact):
        by_stem[strip_image_suffix(name)].append(name)
    found = {image_id: image_id for image_id in exact}
    owner: dict[str, str] = {}
    for row in images:
        candidates = by_stem.get(strip_image_suffix(row.image_id), [])
        if row.image_id in exact or not candidates:
            continue
        if len(candidates) > 1:
            raise DataError(f"{where}: keys {candidates} could all be image {row.image_id!r}")
        other = owner.setdefault(candidates[0], row.image_id)
        if other != row.image_id:
            raise DataError(
                f"{where}: key {candidates[0]!r} could be image {other!r} or {row.image_id!r}"
            )
        found[row.image_id] = candidates[0]
    counts = {
        "missing_in_file": len(images) - len(found),
        "surplus_keys": len(known) - len(found),
    }
    return found, counts


def file_label(sources: Sequence[Path]) -> str:
    """Return how reasons in a store name the sources: without any folder of this machine."""
    return plain_name(sources[0]) if len(sources) == 1 else f"{len(sources)} files"


def plain_name(path: Path) -> str:
    """Return the last part of a path, of `.` too."""
    return path.name or path.resolve().name


def absent(row: ImageRow, outputs: Outputs, label: str) -> ItemFeatures:
    """Return the result for an image that the file lacks."""
    reason = f"not in {label}" + (f" ({row.reason})" if row.reason else "")
    status = row.status if row.status == "unreadable" else "missing"
    return replace(nothing_found(reason, outputs), status=STATUS[status])


def image_file_name(row: ImageRow) -> str:
    """Return the name of an image's file, or the id with `.jpg` where there is no file."""
    if row.path:
        return PurePosixPath(row.path).name
    has_suffix = strip_image_suffix(row.image_id) != row.image_id
    return row.image_id if has_suffix else f"{row.image_id}.jpg"
