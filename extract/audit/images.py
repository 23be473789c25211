"""The images of a corpus: those of two splits, and those that are missing or unreadable."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from extract.manifest import STATUS, ImageRow, Sample


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
    rows = {split: [images[i] for i in found if i in images] for split, found in ids.items()}
    hashes = {image_id: row.sha256 for image_id, row in images.items()}
    result["shared_files"] = {
        sha256: found
        for sha256, found in _in_two_splits(ids, lambda image_id: hashes.get(image_id, "")).items()
        if len({image_id for of_split in found.values() for image_id in of_split}) > 1
    }
    counted = {split: Counter(row.status for row in found) for split, found in rows.items()}
    result["status"] = {
        split: {name: count[name] for name in STATUS if count[name]}
        for split, count in counted.items()
    }
    result["bad"] = {
        split: {
            row.image_id: f"{row.status}: {row.reason}".removesuffix(": ")
            for row in found
            if row.status in ("missing", "unreadable")
        }
        for split, found in rows.items()
    }
    result["not_listed"] = sorted({i for found in ids.values() for i in found} - images.keys())
    return result


def _in_two_splits(
    ids: Mapping[str, Sequence[str]], key_of: Callable[[str], str]
) -> dict[str, dict[str, list[str]]]:
    """Return key -> split -> image ids, of the non-empty keys that occur in two splits."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for split, image_ids in ids.items():
        for image_id in image_ids:
            if key_of(image_id):
                found[key_of(image_id)].setdefault(split, []).append(image_id)
    return {key: of_key for key, of_key in found.items() if len(of_key) > 1}
