"""The images of a corpus: those of two splits, and those that are missing or unreadable."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS
from extract.tables.samples import Sample


def describe_images(
    splits: Mapping[str, Sequence[Sample]], images: Mapping[str, ImageRow] | None
) -> dict[str, Any]:
    """Return what is known of the images.

    Args:
        splits: split -> its samples.
        images: image id -> line of images.tsv; None where there is none.

    Returns:
        `shared_ids`: image id -> splits, of the ids of two or more splits. With images.tsv also
        `shared_files`: SHA-256 -> split -> image ids, of equal files in two or more splits;
        `status`: split -> status -> images; `bad`: split -> image id -> status and reason of those
        missing or unreadable; `not_listed`: ids that are not in images.tsv.
    """
    ids = {split: list(dict.fromkeys(s.image_id for s in found)) for split, found in splits.items()}
    shared = _in_two_splits(ids, lambda image_id: image_id)
    result: dict[str, Any] = {"shared_ids": {key: list(found) for key, found in shared.items()}}
    if images is None:
        return result

    def sha256_of(image_id: str) -> str:
        return images[image_id].sha256 if image_id in images else ""

    result["shared_files"] = {
        sha256: found
        for sha256, found in _in_two_splits(ids, sha256_of).items()
        if len({image_id for of_split in found.values() for image_id in of_split}) > 1
    }
    result["status"], result["bad"] = {}, {}
    for split, found in ids.items():
        rows = (images[image_id] for image_id in found if image_id in images)
        result["status"][split], result["bad"][split] = _count_status(rows)
    result["not_listed"] = sorted({i for found in ids.values() for i in found} - images.keys())
    return result


def _count_status(rows: Iterable[ImageRow]) -> tuple[dict[str, int], dict[str, str]]:
    """Return status -> images, and image id -> status and reason of the bad ones."""
    count, bad = Counter(), {}
    for row in rows:
        count[row.status] += 1
        if row.status in ("missing", "unreadable"):
            bad[row.image_id] = f"{row.status}: {row.reason}".removesuffix(": ")
    return {name: count[name] for name in STATUS if count[name]}, bad


def _in_two_splits(
    ids: Mapping[str, Sequence[str]], key_of: Callable[[str], str]
) -> dict[str, dict[str, list[str]]]:
    """Return key -> split -> image ids, of the non-empty keys that occur in two splits."""
    keys = {split: {key_of(image_id) for image_id in found} - {""} for split, found in ids.items()}
    shared = {key for a, b in combinations(keys.values(), 2) for key in a & b}
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for split, image_ids in ids.items():
        for image_id in image_ids:
            key = key_of(image_id)
            if key in shared:
                found[key].setdefault(split, []).append(image_id)
    return dict(found)
