"""Slices: named parts of a split that are scored on their own.

`all`; each kind of evidence that the corpus names; `with_image` and `without_image`, by whether the
tweet's image can be read; `with_handle` and `without_handle`, by whether a token of the tweet is an
user handle. A slice without tweets is left out.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from extract.core.errors import DataError
from extract.corpora.handles import handle_positions
from extract.tables.images_table import read_images
from extract.tables.samples import Sample

ALL = "all"
"""Name of the slice that holds every tweet."""

IMAGE_SLICES = ("with_image", "without_image")
HANDLE_SLICES = ("with_handle", "without_handle")


def usable_images(path: Path) -> set[str] | None:
    """Return the ids of images.tsv whose status is ok; None for a corpus without image files.

    Raises:
        MissingFileError: no such file.
        DataError: it is no images.tsv.
    """
    rows = read_images(Path(path))
    if all(row.status == "no_images" for row in rows):
        return None
    return {row.image_id for row in rows if row.status == "ok"}


def tweet_slices(
    samples: Sequence[Sample], usable: Collection[str] | None = None
) -> dict[str, list[int]]:
    """Return slice -> positions of its tweets, in the order of `slice_order`.

    Args:
        samples: of the split.
        usable: ids of the images that can be read; None leaves the image slices out.

    Raises:
        DataError: the corpus names a kind of evidence as a slice of another meaning.
    """
    slices: dict[str, list[int]] = {ALL: list(range(len(samples)))}
    for position, sample in enumerate(samples):
        names = [HANDLE_SLICES[not handle_positions(sample.tokens)]]
        if usable is not None:
            names.append(IMAGE_SLICES[sample.image_id not in usable])
        if sample.evidence in (ALL, *IMAGE_SLICES, *HANDLE_SLICES):
            raise DataError(
                f"sample {sample.id}: evidence '{sample.evidence}' is the name of a slice. Name "
                "this kind of evidence otherwise in the corpus."
            )
        for name in (*names, sample.evidence):
            if name:
                slices.setdefault(name, []).append(position)
    return {name: slices[name] for name in slice_order(slices)}


def slice_order(names: Iterable[str]) -> list[str]:
    """Return slices in the order of tables: all, kinds of evidence by name, image, handle."""
    fixed = (ALL, *IMAGE_SLICES, *HANDLE_SLICES)
    names = set(names)
    kinds = sorted(names - set(fixed))
    return [name for name in (ALL, *kinds, *fixed[1:]) if name in names]
